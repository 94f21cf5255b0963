/** @module Which files a program loads, by Node's own word: what an image of it has to hold. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { PROJECT_ROOT } from './platform-process.ts'

/** Writes down every file that is loaded, whoever asks for it, `import` or `require`. */
const RECORDER = `
  import { writeFileSync } from 'node:fs'
  import { registerHooks } from 'node:module'
  const seen = new Set()
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:')) seen.add(url)
      return next(url, context)
    },
  })
  process.on('exit', () => writeFileSync(process.env.LOADED_MODULES, JSON.stringify([...seen])))
`

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Runs an entry of this checkout until its `/health` answers, ends it, and returns what it had loaded,
 * relative to the checkout. `PORT` and `ATRIUM_LISTEN_HOST` or `HOST` are set here.
 */
export async function loadedModules(
  entry: string,
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'atrium-modules-'))
  const port = await freePort()
  const recorder = join(folder, 'recorder.mjs')
  writeFileSync(recorder, RECORDER)
  const out = join(folder, 'modules.json')
  const child = spawn(process.execPath, ['--import', recorder, join(PROJECT_ROOT, entry)], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOST: '127.0.0.1',
      ATRIUM_LISTEN_HOST: '127.0.0.1',
      PORT: String(port),
      ATRIUM_ROOTS_DIR: folder,
      ATRIUM_DATA_DIR: folder,
      LOADED_MODULES: out,
      ...env,
    },
  })
  const exited = once(child, 'exit')
  try {
    await eventually(() => isHealthy(`http://127.0.0.1:${port}`), 60_000)
    child.kill('SIGTERM')
    await exited
    const urls: readonly string[] = JSON.parse(readFileSync(out, 'utf8'))
    return urls
      .map((url) => relative(PROJECT_ROOT, fileURLToPath(url)))
      .filter((path) => !path.startsWith('..'))
  } finally {
    child.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
}

export async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok
  } catch {
    return false
  }
}
