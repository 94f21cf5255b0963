#!/usr/bin/env node
// Runs on any Node >= 20: the sources need 24 (they are TypeScript), which the project installs as
// the npm package `node`. Plain JavaScript, no dependencies.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const REQUIRED_MAJOR = 24
const main = new URL('../src/main.ts', import.meta.url)

if (Number.parseInt(process.versions.node, 10) >= REQUIRED_MAJOR) {
  await import(main.href)
} else {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
  const node = resolve(root, 'node_modules/node/bin/node')
  if (existsSync(node)) runWith(node)
  else {
    console.error(`atrium: needs Node ${REQUIRED_MAJOR}, this is ${process.versions.node}`)
    console.error(`  hint: run \`npm ci\` in ${root}, or put Node ${REQUIRED_MAJOR} on the PATH`)
    process.exitCode = 1
  }
}

/** Runs the same command line with another Node and ends the way it ends. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => {
    console.error(`atrium: cannot start ${node}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 15)
  })
}
