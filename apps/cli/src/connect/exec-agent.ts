/**
 * @module A command as the agent: run once for each message, which it reads on standard input, and
 * whose standard output is the answer (docs/guides/connect.md).
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { reasonOf } from '../failure.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { InboundMessage } from './inbound-message.ts'
import { type JobFolder, makeJobFolder } from './job-folder.ts'
import { failureAnswer, fittingText, type LocalAgent, type LocalAnswer } from './local-agent.ts'

const MAX_OUTPUT_BYTES = 1024 * 1024
const MAX_TAIL_CHARACTERS = 2_000
const TERM_GRACE_MS = 5_000
/** Something that left the group may hold the pipes; it is not waited for. */
const PIPE_GRACE_MS = 1_000

export type ExecAgentOptions = {
  /** For `/bin/sh -c`: the user's own words. Nothing of a message is ever part of it. */
  readonly command: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly workspaceId: string
  readonly stateFolder: string
  /** undefined: as long as it takes. */
  readonly timeoutMs: number | undefined
  readonly terminal: Terminal
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>
type End = {
  readonly code: number | null
  readonly signal: string | null
  readonly isLate: boolean
}

export class ExecAgent implements LocalAgent {
  readonly #options: ExecAgentOptions
  readonly #groups = new Set<number>()

  constructor(options: ExecAgentOptions) {
    this.#options = options
  }

  async answer(message: InboundMessage): Promise<LocalAnswer> {
    const folder = await makeJobFolder(this.#options.stateFolder, message)
    try {
      return await this.#run(message, folder)
    } finally {
      await folder.remove()
    }
  }

  killAll(): void {
    for (const group of this.#groups) endGroup(group, 'SIGKILL')
  }

  close(): Promise<void> {
    this.killAll()
    return Promise.resolve()
  }

  async #run(message: InboundMessage, folder: JobFolder): Promise<LocalAnswer> {
    let child: Child
    try {
      child = spawn('/bin/sh', ['-c', GATE, 'sh', this.#options.command], {
        cwd: this.#options.cwd,
        env: {
          ...this.#options.env,
          ...jobEnvironment(this.#options.workspaceId, message, folder),
        },
        // A group of its own: Ctrl-C in the terminal lets it finish, and it can be ended as a whole.
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      })
      await once(child, 'spawn')
    } catch (thrown) {
      return failureAnswer(`the command could not be started (${reasonOf(thrown)})`)
    }
    const group = child.pid ?? 0
    this.#groups.add(group)
    try {
      const output = collect(child, this.#options.terminal)
      // A command need not read what it is given; that it did not is no error.
      child.stdin.on('error', () => child.stdin.destroy())
      child.stdin.end(message.text)
      // Listened for at once: a short command is over before a file is written.
      const end = ended(child, this.#options.timeoutMs)
      await folder.started(group)
      openGate(child)
      return answerOf(await end, { ...output(), timeoutMs: this.#options.timeoutMs })
    } finally {
      // What it left running in its group does not outlive its message.
      endGroup(group, 'SIGKILL')
      this.#groups.delete(group)
    }
  }
}

/**
 * Holds the command back until its group is written down: who is killed before that leaves nobody
 * behind who could not be found. The end of the pipe without a word ends it.
 */
const GATE = 'read -r go <&3 || exit 125; exec 3<&-; exec /bin/sh -c "$1"'

function openGate(child: Child): void {
  const gate = child.stdio[3]
  if (!(gate instanceof Writable)) throw new Error('the command has no gate')
  // Killed meanwhile by its time limit: its end says so.
  gate.on('error', () => gate.destroy())
  gate.end('go\n')
}

/** Sends a signal to a group of ours; one that is gone needs none. */
export function endGroup(group: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-group, signal)
  } catch (thrown) {
    if (!hasErrorCode(thrown, 'ESRCH', 'EPERM')) throw thrown
  }
}

function jobEnvironment(
  workspaceId: string,
  message: InboundMessage,
  folder: JobFolder,
): Record<string, string> {
  const environment: Record<string, string> = {
    WORKSPACE_ID: workspaceId,
    ATRIUM_ACTIVITY_ID: message.rowId,
    ATRIUM_MESSAGE_ID: message.messageId,
    ATRIUM_CONTEXT_ID: message.contextId ?? '',
    ATRIUM_SOURCE_ID: message.sourceId ?? '',
    ATRIUM_IN_REPLY_TO: message.inReplyTo ?? '',
    ATRIUM_MESSAGE_FILE: folder.messagePath,
    ATRIUM_JOB_DIR: folder.path,
    ATRIUM_ATTACHMENTS: JSON.stringify(folder.files),
    ATRIUM_ATTACHMENT_COUNT: String(folder.files.length),
  }
  for (const [name, value] of Object.entries(environment)) {
    // A sender chooses these; execve refuses a NUL, and an environment that is too long.
    environment[name] = value.replaceAll('\0', '').slice(0, 64 * 1024)
  }
  return environment
}

function collect(child: Child, terminal: Terminal): () => { stdout: Buffer; tail: string } {
  const pieces: Buffer[] = []
  let bytes = 0
  let tail = ''
  child.stdout.on('data', (piece: Buffer) => {
    if (bytes <= MAX_OUTPUT_BYTES) pieces.push(piece)
    bytes += piece.length
  })
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    tail = (tail + text).slice(-MAX_TAIL_CHARACTERS)
    for (const line of text.split('\n')) if (line.trim() !== '') terminal.notice(`  | ${line}`)
  })
  return () => ({ stdout: Buffer.concat(pieces), tail: tail.trim() })
}

async function ended(child: Child, timeoutMs: number | undefined): Promise<End> {
  const closed = once(child, 'close')
  const exited = once(child, 'exit')
  let isLate = false
  const timers: NodeJS.Timeout[] = []
  const group = child.pid ?? 0
  if (timeoutMs !== undefined) {
    const onLate = (): void => {
      isLate = true
      endGroup(group, 'SIGTERM')
      timers.push(setTimeout(() => endGroup(group, 'SIGKILL'), TERM_GRACE_MS))
    }
    timers.push(setTimeout(onLate, timeoutMs))
  }
  await exited
  for (const timer of timers) clearTimeout(timer)
  endGroup(group, 'SIGKILL')
  const patience = Promise.withResolvers<void>()
  const timer = setTimeout(patience.resolve, PIPE_GRACE_MS)
  await Promise.race([closed, patience.promise])
  clearTimeout(timer)
  child.stdout.destroy()
  child.stderr.destroy()
  return { code: child.exitCode, signal: child.signalCode, isLate }
}

function answerOf(
  end: End,
  output: {
    readonly stdout: Buffer
    readonly tail: string
    readonly timeoutMs: number | undefined
  },
): LocalAnswer {
  const failure = failureOf(end, output.timeoutMs)
  if (failure !== undefined) {
    return failureAnswer(output.tail === '' ? failure : `${failure}\n${output.tail}`)
  }
  // As a shell's $(...) does.
  const text = output.stdout.toString('utf8').replace(/[\r\n]+$/, '')
  return { text: text === '' ? '(no response generated)' : fittingText(text), files: [] }
}

function failureOf({ code, signal, isLate }: End, timeoutMs: number | undefined) {
  if (isLate) return `the command was ended after ${(timeoutMs ?? 0) / 1000} s`
  if (signal !== null) return `the command was ended by ${signal}`
  return code === 0 ? undefined : `the command ended with exit code ${code}`
}
