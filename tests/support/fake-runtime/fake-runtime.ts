/**
 * @module A runtime with the manners that a test asks for (`FAKE_RUNTIME`, a comma-separated list).
 * It stands for programs that misbehave; the real one is tested by itself.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'

const traits = new Set((process.env['FAKE_RUNTIME'] ?? '').split(','))
const configs = process.env['CONFIGS_DIR'] ?? ''

process.stdout.write(`fake runtime of generation ${process.env['GENERATION']} starts\n`)

// What lay there in the very first moment: everything has to be in place before the start.
const seen = Object.fromEntries(
  ['.auth_token', '.platform_inbound_secret', 'config.yaml', 'nested/deep/note.txt'].map((name) => [
    name,
    describeFile(join(configs, name)),
  ]),
)

function describeFile(path: string): { text: string; mode: string } | undefined {
  try {
    return { text: readFileSync(path, 'utf8'), mode: (statSync(path).mode & 0o777).toString(8) }
  } catch {
    return undefined
  }
}

function exit(code: number): never {
  // biome-ignore lint/nursery/noProcessExit: the sudden end of a runtime is what a test asks for.
  process.exit(code)
}

function endInOrder(): void {
  process.stdout.write('ends in order\n')
  exit(0)
}

const children: ChildProcess[] = []
const quiet = { stdio: 'ignore' } as const
if (traits.has('child')) children.push(spawn('sleep', ['600'], quiet))
if (traits.has('bare-child')) {
  children.push(spawn('/usr/bin/env', ['-i', '/bin/sleep', '600'], { ...quiet, cwd: '/' }))
}
if (traits.has('session-child')) {
  children.push(spawn('sleep', ['600'], { ...quiet, detached: true }))
}
if (traits.has('stubborn-child')) {
  children.push(spawn('/bin/sh', ['-c', 'trap "" TERM; while :; do sleep 1; done'], quiet))
}
if (traits.has('grandchild')) {
  children.push(spawn('/bin/sh', ['-c', 'sleep 600 & sleep 600'], quiet))
}
if (traits.has('console-child')) {
  children.push(spawn('sleep', ['600'], { stdio: ['ignore', 'inherit', 'inherit'] }))
}

process.on('SIGTERM', () => {
  if (traits.has('lingers')) setTimeout(endInOrder, 200)
  else if (!traits.has('stubborn')) exit(0)
})
process.on('disconnect', () => {
  if (!traits.has('ignores-disconnect')) exit(0)
})

if (traits.has('exits')) {
  process.stderr.write(`boom: ${process.env['PROVIDER_KEY']} was refused\n`)
  exit(3)
} else if (traits.has('silent')) {
  setInterval(() => undefined, 60_000)
} else if (traits.has('garbage')) {
  process.send?.({ type: 'ready', port: 'http' })
  setInterval(() => undefined, 60_000)
} else if (traits.has('no-message')) {
  writeChannel('x\n')
  setInterval(() => undefined, 60_000)
} else if (traits.has('endless-message')) {
  setInterval(() => writeChannel('x'.repeat(4096)), 10)
} else {
  listen()
}

function answer(url: URL, response: ServerResponse): void {
  const query = Object.fromEntries(url.searchParams)
  switch (url.pathname) {
    case '/state': {
      const pids = [process.pid, ...children.map((child) => child.pid)]
      reply(response, { pids, seen, env: process.env, cwd: process.cwd() })
      break
    }
    case '/print': {
      const stream = url.searchParams.has('stderr') ? process.stderr : process.stdout
      const text = (query['text'] ?? '').repeat(Number(query['times'] ?? '1'))
      stream.write(text, () => reply(response, {}))
      break
    }
    case '/plant':
      plant(query)
      reply(response, {})
      break
    case '/look':
      reply(response, look(query['path'] ?? ''))
      break
    case '/channel': {
      const text = (query['text'] ?? '').repeat(Number(query['times'] ?? '1'))
      reply(response, { taken: writeChannel(text) })
      break
    }
    case '/exit':
      exit(Number(query['code']))
      break
    default:
      reply(response, {})
  }
}

/** As an agent can that has taken the runtime over; returns how many bytes the platform took. */
function writeChannel(text: string): number {
  const bytes = Buffer.from(text)
  let taken = 0
  try {
    while (taken < bytes.length) taken += writeSync(3, bytes, taken)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
  }
  return taken
}

function listen(): void {
  const server = createServer((request, response) => {
    answer(new URL(request.url ?? '/', 'http://fake'), response)
  })
  server.listen(Number(process.env['PORT'] ?? 0), process.env['ATRIUM_LISTEN_HOST'], () => {
    const { port } = server.address() as AddressInfo
    process.send?.({ type: 'ready', port })
    if (traits.has('dies-when-ready')) process.kill(process.pid, 'SIGKILL')
  })
}

/** What this process finds at a path of its own view: names, text or the code of the error. */
function look(path: string): { names?: string[]; text?: string; error?: string } {
  try {
    if (statSync(path).isDirectory()) return { names: readdirSync(path) }
    return { text: readFileSync(path, 'latin1') }
  } catch (error) {
    return { error: error instanceof Error && 'code' in error ? String(error.code) : 'unknown' }
  }
}

/** Makes what a test wants to find at a path of the wire. */
function plant({ kind = '', path = '', target = '', text = '', times = '1' }): void {
  const onWire = (name: string): string => join(process.env['ATRIUM_ROOTS_DIR'] ?? '/', name)
  const place = onWire(path)
  if (kind === 'file') writeFileSync(place, text.repeat(Number(times)))
  if (kind === 'link') symlinkSync(target, place)
  if (kind === 'hard-link') linkSync(onWire(target), place)
  if (kind === 'fifo') spawnSync('mkfifo', [place])
}

function reply(response: ServerResponse, body: unknown): void {
  response.setHeader('connection', 'close')
  response.end(JSON.stringify(body))
}
