/** @module One runtime as a child process: started, heard when it is ready, waited for at its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { Duplex, Writable } from 'node:stream'
import type { Clock } from '@atrium/http-kit/clock'
import type { RuntimeReadyMessage } from '@atrium/runtime-contract/environment'
import { z } from 'zod'
import { type ProcessInfo, readProcess } from './process-table.ts'
import type { RuntimeCommand } from './runtime-command.ts'

const { signals } = constants

const readyMessageSchema = z.object({
  type: z.literal('ready'),
  port: z.number().int().min(1).max(65_535),
}) satisfies z.ZodType<RuntimeReadyMessage>

/** A ready message takes 30. */
const MAX_MESSAGE_BYTES = 1024

export type RuntimeChild = {
  readonly process: ChildProcess
  /** Tells the port, once; its end tells the runtime that the platform died. */
  readonly channel: Duplex
  /** The identity of the runtime, which leads a session and a group of its own. */
  readonly leader: ProcessInfo
  /** Resolves with `exit code 1` or `signal SIGKILL`. Never rejects. */
  readonly exited: Promise<string>
}

/**
 * Starts the runtime in a session of its own, so that a Ctrl-C in the platform's terminal does not
 * reach it. Rejects when the program cannot be started.
 *
 * To the runtime its channel is Node's (`NODE_CHANNEL_FD`: JSON, a line each), but here it is a plain
 * socket: Node throws at a line that is no JSON where nobody can catch it, keeps one that never ends,
 * and takes descriptors that come along. An agent that has taken its runtime over may write there.
 */
export async function spawnRuntime(command: RuntimeCommand): Promise<RuntimeChild> {
  const { file, args, cwd, env, pipedEnv } = command
  const child = spawn(file, args, {
    cwd,
    env: { ...env, NODE_CHANNEL_FD: '3', NODE_CHANNEL_SERIALIZATION_MODE: 'json' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', pipedEnv === undefined ? 'ignore' : 'pipe'],
  })
  if (child.pid === undefined) {
    const { promise, reject } = Promise.withResolvers<never>()
    child.once('error', reject)
    return promise
  }
  // Read in the same turn: even a child that ended already is a zombie until Node waits for it.
  const leader = readProcess(child.pid)
  if (leader === undefined) throw new Error('the child process is not in /proc')
  const exited = Promise.withResolvers<string>()
  child.once('exit', (code, signal) => {
    exited.resolve(signal === null ? wordsFor(code ?? 0, command) : `signal ${signal}`)
  })
  if (pipedEnv !== undefined) handOver(child, JSON.stringify(pipedEnv))
  return { process: child, leader, channel: channelOf(child), exited: exited.promise }
}

function channelOf(child: ChildProcess): Duplex {
  const channel = child.stdio[3]
  if (!(channel instanceof Duplex)) throw new Error('the child process has no descriptor 3')
  // ECONNRESET: it ended, which its exit tells.
  channel.on('error', () => undefined)
  return channel
}

function handOver(child: ChildProcess, text: string): void {
  const pipe = child.stdio[4]
  if (!(pipe instanceof Writable)) throw new Error('the child process has no descriptor 4')
  // EPIPE: it ended before it read them, which its exit tells.
  pipe.on('error', () => undefined)
  pipe.end(text)
}

/** Bubblewrap tells the signal that ended the runtime as a shell does: 128 and its number. */
function wordsFor(code: number, { isolation }: RuntimeCommand): string {
  const signal = Object.entries(signals).find(([, number]) => number === code - 128)?.[0]
  return isolation === 'sandbox' && signal !== undefined ? `signal ${signal}` : `exit code ${code}`
}

/**
 * Resolves with the port once the runtime listens. Rejects when it ends, says something else first,
 * says nothing for `timeoutMs`, or `signal` is aborted (with its reason). Nothing more is read.
 */
export async function awaitReady(
  child: RuntimeChild,
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<number> {
  const { clock, timeoutMs, signal } = options
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const settled = new AbortController()
  let said = ''
  const onData = (bytes: Buffer): void => {
    said += bytes.toString('latin1')
    const end = said.indexOf('\n')
    if (end === -1 && said.length <= MAX_MESSAGE_BYTES) return
    const port = portIn(said.slice(0, Math.max(end, 0)))
    if (port !== undefined) resolve(port)
    else reject(new Error('the runtime sent an invalid ready message'))
  }
  const onAbort = (): void => reject(signal.reason)
  child.channel.on('data', onData)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  const onExit = child.exited.then((reason) => {
    reject(new Error(`the runtime ended before it was ready: ${reason}`))
  })
  const timer = clock.sleep(timeoutMs, settled.signal).then(
    () => reject(new Error(`the runtime was not ready within ${timeoutMs} ms`)),
    // Cancelled below, which is how a start in time ends.
    () => undefined,
  )
  try {
    return await promise
  } finally {
    settled.abort()
    child.channel.off('data', onData).pause()
    signal.removeEventListener('abort', onAbort)
    await timer
    if (child.process.exitCode !== null) await onExit
  }
}

function portIn(line: string): number | undefined {
  try {
    return readyMessageSchema.safeParse(JSON.parse(line)).data?.port
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
