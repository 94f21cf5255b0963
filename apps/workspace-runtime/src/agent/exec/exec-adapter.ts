/** @module Any command-line program as an agent (docs/guides/exec-adapter.md). */
import { ERROR_TABLE, findAppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { safeFileName } from '@atrium/path-safety/file-name'
import type { StoredFile } from '@atrium/runtime-contract/file-transfer'
import type { Logger } from 'pino'
import type { AgentSettings } from '../../agent-settings.ts'
import {
  type AgentAdapter,
  AgentFailure,
  AgentNotConfigured,
  type ReplySink,
  type Turn,
  type TurnEnd,
} from '../agent-adapter.ts'
import { mediaTypeFor } from '../media-type.ts'
import { childEnvironment, type EnvironmentSource } from './child-environment.ts'
import { CommandEvents } from './command-events.ts'
import { ErrorTail } from './error-tail.ts'
import { JobFolder } from './job-folder.ts'
import { ReplyText } from './reply-text.ts'
import { type CommandEnd, CommandRunner } from './run-command.ts'

/** Stores a file of the agent among the uploads, from where the user can download it. */
export type PublishFile = (
  source: { readonly fd: number; readonly name: string; readonly mimeType: string },
  signal: AbortSignal,
) => Promise<StoredFile>

export type ExecAdapterDeps = {
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly settings: AgentSettings
  readonly directories: {
    readonly configs: string
    readonly workspace: string
    readonly home: string
    readonly plugins: string
  }
  /** The runtime's own environment, and the credentials that must not leave it. */
  readonly ownEnvironment: EnvironmentSource['own']
  readonly credentials: () => readonly string[]
  readonly tool: EnvironmentSource['tool']
  readonly publish: PublishFile
}

export class ExecAdapter implements AgentAdapter {
  readonly name = 'exec'
  readonly #deps: ExecAdapterDeps
  readonly #runner: CommandRunner

  constructor(deps: ExecAdapterDeps) {
    this.#deps = deps
    this.#runner = new CommandRunner(deps.clock)
  }

  async start(): Promise<void> {
    const { log, settings, ownEnvironment, directories } = this.#deps
    if (settings.command === '') {
      throw new AgentNotConfigured(
        'config.yaml: runtime_config.command is empty, and runtime is not echo',
      )
    }
    const missing = settings.requiredEnv.filter((name) => !ownEnvironment[name])
    if (missing.length > 0) {
      throw new AgentNotConfigured(`missing environment: ${missing.join(', ')}`)
    }
    // A command can leave what nobody can remove, and must not end its own agent by that (H20).
    const onLeft = (error: unknown): void => log.warn({ err: error }, 'exec.job_folder_left')
    await JobFolder.sweep(directories.workspace, onLeft).catch(onLeft)
  }

  async execute(turn: Turn, reply: ReplySink, signal: AbortSignal): Promise<TurnEnd> {
    const id = this.#deps.ids.uuid()
    const log = this.#deps.log.child({ job_id: id, task_id: turn.taskId })
    const folder = await JobFolder.create(this.#deps.directories.workspace, id)
    try {
      const end = await this.#run({ turn, reply, folder, log }, signal)
      signal.throwIfAborted()
      await this.#sendOutputs({ reply, folder }, signal)
      return end
    } finally {
      await removeFolder(folder, log)
    }
  }

  async stop(): Promise<void> {
    this.killAll()
  }

  killAll(): void {
    this.#runner.killAll()
  }

  async #run(
    job: {
      readonly turn: Turn
      readonly reply: ReplySink
      readonly folder: JobFolder
      readonly log: Logger
    },
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    const { turn, reply, folder, log } = job
    const { settings, directories, clock } = this.#deps
    const attachments = await folder.place(turn.attachments)
    const text = new ReplyText((piece) => reply.text(piece))
    const errors = new ErrorTail(log)
    const events = new CommandEvents(reply, log)
    const env = childEnvironment(
      {
        own: this.#deps.ownEnvironment,
        homeDirectory: directories.home,
        workspaceDirectory: directories.workspace,
        tool: this.#deps.tool,
        credentials: this.#deps.credentials(),
      },
      { ...turn, attachments, outputDirectory: folder.outputPath },
    )
    const fill = (value: string): string => fillPlaces(value, directories)
    const startedAtMs = clock.now().getTime()
    let end: CommandEnd
    try {
      end = await this.#runner.run(
        {
          command: fill(settings.command),
          args: settings.args.map(fill),
          cwd: folder.path,
          env,
          stdin: turn.text,
          timeoutMs: settings.timeoutMs,
          onStdout: (bytes) => text.write(bytes),
          onStderr: (bytes) => errors.write(bytes),
          onEvents: (bytes) => events.write(bytes),
        },
        signal,
      )
    } finally {
      text.end()
      errors.end()
      events.end()
    }
    const durationMs = clock.now().getTime() - startedAtMs
    log.info({ exit_code: end.exitCode, signal: end.signal, duration_ms: durationMs }, 'exec.ended')
    signal.throwIfAborted()
    const failure = failureOf(end, settings.timeoutMs)
    if (failure !== undefined) throw new AgentFailure(withTail(failure, errors.text))
    return events.turnEnd
  }

  async #sendOutputs(
    job: { readonly reply: ReplySink; readonly folder: JobFolder },
    signal: AbortSignal,
  ): Promise<void> {
    for await (const output of job.folder.outputs()) {
      signal.throwIfAborted()
      const name = safeFileName(output.name)
      if ('problem' in output) {
        job.reply.text(`\n[output/${name} was not sent: ${output.problem}]`)
        continue
      }
      job.reply.file(await this.#publish(output.fd, name, signal))
    }
  }

  async #publish(fd: number, name: string, signal: AbortSignal): Promise<StoredFile> {
    try {
      return await this.#deps.publish({ fd, name, mimeType: mediaTypeFor(name) }, signal)
    } catch (cause) {
      const known = findAppError(cause)
      if (known === undefined) throw cause
      throw new AgentFailure(`output/${name}: ${ERROR_TABLE[known.code].text}`, { cause })
    }
  }
}

/** The folders of the workspace by name: a config file need not know where a back-end puts them. */
function fillPlaces(value: string, directories: ExecAdapterDeps['directories']): string {
  return value
    .replaceAll('{workspace}', () => directories.workspace)
    .replaceAll('{configs}', () => directories.configs)
    .replaceAll('{home}', () => directories.home)
    .replaceAll('{plugins}', () => directories.plugins)
}

function failureOf(end: CommandEnd, timeoutMs: number | undefined): string | undefined {
  if (end.isTimeout) return `the command was ended after ${(timeoutMs ?? 0) / 1000} s`
  if (end.signal !== null) return `the command was ended by ${end.signal}`
  return end.exitCode === 0 ? undefined : `the command ended with exit code ${end.exitCode}`
}

function withTail(failure: string, tail: string): string {
  return tail === '' ? failure : `${failure}\n${tail}`
}

/** Best effort: the answer is complete, and the next start sweeps (H20). */
async function removeFolder(folder: JobFolder, log: Logger): Promise<void> {
  try {
    await folder.remove()
  } catch (error) {
    log.warn({ err: error }, 'exec.job_folder_left')
  }
}
