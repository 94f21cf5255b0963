/** @module One run of a command without a shell, in a process group of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import type { Clock } from '@atrium/http-kit/clock'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { AgentFailure } from '../agent-adapter.ts'
import { endGroup, signalGroup } from './process-group.ts'

const TERM_GRACE_MS = 5_000
/** For processes that a command left behind when it ended by itself. */
const LEFTOVER_GRACE_MS = 500
const PIPE_GRACE_MS = 1_000
/** Where a command says what is no text of its answer. */
export const EVENTS_FD = 3

export type CommandInput = {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  /** undefined: unlimited. */
  readonly timeoutMs: number | undefined
  readonly onStdout: (bytes: Buffer) => void
  readonly onStderr: (bytes: Buffer) => void
  /** What it writes to descriptor 3. */
  readonly onEvents: (bytes: Buffer) => void
}

export type CommandEnd = {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly isTimeout: boolean
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** Runs commands and knows which run, so that all of them can be ended at once. */
export class CommandRunner {
  readonly #clock: Clock
  readonly #groups = new Set<number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Runs and resolves when nothing of the command is left. Aborting ends the whole group, SIGTERM
   * first; the end is reported then too. Throws `AgentFailure` when it cannot be started.
   */
  async run(input: CommandInput, signal: AbortSignal): Promise<CommandEnd> {
    signal.throwIfAborted()
    const child = spawnCommand(input)
    const groupId = await started(child)
    this.#groups.add(groupId)
    try {
      return await this.#attend(child, groupId, { input, signal })
    } finally {
      this.#groups.delete(groupId)
    }
  }

  /** Ends everything at once, without asking. */
  killAll(): void {
    for (const groupId of this.#groups) signalGroup(groupId, 'SIGKILL')
  }

  async #attend(
    child: Child,
    groupId: number,
    run: { readonly input: CommandInput; readonly signal: AbortSignal },
  ): Promise<CommandEnd> {
    const { input, signal } = run
    const closed = once(child, 'close')
    const exited = once(child, 'exit')
    child.stdout.on('data', input.onStdout)
    child.stderr.on('data', input.onStderr)
    const events = eventsOf(child)
    events?.on('data', input.onEvents)
    // A command need not read what it is given; that it did not is no error.
    child.stdin.on('error', () => child.stdin.destroy())
    child.stdin.end(input.stdin)

    const overtime = new AbortController()
    const timer =
      input.timeoutMs === undefined
        ? undefined
        : setTimeout(() => overtime.abort(new Error('timeout')), input.timeoutMs)
    const ending = AbortSignal.any([signal, overtime.signal])
    let ended: Promise<void> | undefined
    const end = (): void => {
      ended = endGroup(this.#clock, groupId, TERM_GRACE_MS)
    }
    if (ending.aborted) end()
    else ending.addEventListener('abort', end, { once: true })
    await exited
    clearTimeout(timer)
    ending.removeEventListener('abort', end)
    await (ended ?? endGroup(this.#clock, groupId, LEFTOVER_GRACE_MS))
    await this.#drain(child, closed)
    return {
      exitCode: child.exitCode,
      signal: child.signalCode,
      isTimeout: overtime.signal.aborted,
    }
  }

  /** A process that left the group may still hold the pipes; it is not waited for. */
  async #drain(child: Child, closed: Promise<unknown>): Promise<void> {
    const enough = new AbortController()
    const patience = this.#clock.sleep(PIPE_GRACE_MS, enough.signal).catch((error: unknown) => {
      if (!enough.signal.aborted) throw error
    })
    await Promise.race([closed, patience])
    enough.abort()
    child.stdout.destroy()
    child.stderr.destroy()
    eventsOf(child)?.destroy()
  }
}

function spawnCommand({ command, args, cwd, env }: CommandInput): Child {
  try {
    return spawn(command, [...args], {
      cwd,
      env: { ...env },
      // A session of its own: the group can be ended as a whole, and has no terminal.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    })
  } catch (cause) {
    // What the kernel refuses for its size (E2BIG), or Node for a NUL in it, is thrown at once.
    throw notStarted(cause)
  }
}

/** The fourth pipe; Node's types know three. */
function eventsOf(child: Child): Readable | undefined {
  const pipe = child.stdio[EVENTS_FD]
  return pipe instanceof Readable ? pipe : undefined
}

async function started(child: Child): Promise<number> {
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw notStarted(cause)
  }
  if (child.pid === undefined) throw new AgentFailure('the command could not be started')
  return child.pid
}

function notStarted(cause: unknown): AgentFailure {
  const code = errorCodeOf(cause) ?? 'unknown error'
  return new AgentFailure(`the command could not be started (${code})`, { cause })
}
