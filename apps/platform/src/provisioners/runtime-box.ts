/**
 * @module One workspace's box: a runtime in its own folder, from its start to the end of its last
 * process. Started once; a new start is a new box.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { InheritedEnv } from './box-environment.ts'
import { type BoxPaths, prepareBoxFolder } from './box-folder.ts'
import { ConsoleLog } from './console-log.ts'
import { readConsoleTail } from './console-tail.ts'
import { endProcesses } from './end-processes.ts'
import { findLeftovers, findOwnMembers } from './find-box-members.ts'
import { removePidRecord, writePidRecord } from './pid-record.ts'
import { readBootId } from './process-table.ts'
import type { StartInput, StartResult, UnexpectedExit } from './provisioner.ts'
import { redactSecrets } from './redact-secrets.ts'
import { awaitReady, type RuntimeChild, spawnRuntime } from './runtime-child.ts'
import { type Confinement, ownerOf, runtimeCommand } from './runtime-command.ts'

export type BoxOptions = {
  readonly baseDir: string
  readonly paths: BoxPaths
  readonly runtimeEntry: string
  readonly nodePath: string
  readonly confinement: Confinement
  readonly listenHost: string
  readonly inheritedEnv: InheritedEnv
  readonly startTimeoutMs: number
  readonly stopGraceMs: number
  readonly maxLogFileBytes: number
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  /** Called once, when nothing of the box is left. */
  readonly onGone: () => void
  /** Called when the runtime ended without having been asked to, after the rest of its box. */
  readonly onUnexpectedExit: (exit: UnexpectedExit) => void
}

/** How long killed processes may take to disappear. */
const KILL_TIMEOUT_MS = 5_000
/** How long a process outside of our reach may hold the console open after the box is gone. */
const CONSOLE_DRAIN_MS = 1_000
const FAILURE_TAIL_BYTES = 4_096

export class RuntimeBox {
  readonly #options: BoxOptions
  readonly #input: StartInput
  readonly #console: ConsoleLog
  readonly #cancel = new AbortController()
  #phase: 'starting' | 'running' | 'ending' | 'stuck' | 'gone' = 'starting'
  #child: RuntimeChild | undefined
  #pumps: Promise<unknown> = Promise.resolve()
  /** Settles with the start; never rejects, because its caller is told. */
  #startSettled: Promise<unknown> = Promise.resolve()
  #ending: Promise<void> | undefined

  constructor(options: BoxOptions, input: StartInput) {
    this.#options = options
    this.#input = input
    this.#console = new ConsoleLog({
      directory: options.paths.logs,
      maxFileBytes: options.maxLogFileBytes,
      onWriteFailure: (error) => {
        options.log.warn({ err: error, ...this.#facts() }, 'provisioner.console_incomplete')
      },
    })
  }

  get generation(): number {
    return this.#input.generation
  }

  /** Whether the runtime runs and nobody has asked for its end. */
  get isRunning(): boolean {
    return (this.#phase === 'starting' || this.#phase === 'running') && this.#hasLiveChild()
  }

  /** Whether a start must be refused; a box that is on its way out is waited for instead. */
  get isInUse(): boolean {
    return this.#phase === 'starting' || this.#phase === 'running'
  }

  /** Starts the box, once. Whatever it throws, nothing is left running unless it says so. */
  start(signal: AbortSignal): Promise<StartResult> {
    const started = this.#startOrEnd(AbortSignal.any([signal, this.#cancel.signal]))
    this.#startSettled = started.catch(() => undefined)
    return started
  }

  /**
   * Ends the box: cancels a start in progress, asks the group to end, kills it after the grace
   * period. Throws when processes survive that; may be called again then.
   */
  async stop(): Promise<void> {
    this.#cancel.abort(new Error('the workspace was stopped while it started'))
    await this.#startSettled
    if (this.#phase !== 'gone') await this.#end(this.#options.stopGraceMs)
  }

  /** The last `maxBytes` of the console, not cut in two by a rotation. */
  async readConsole(maxBytes: number): Promise<string> {
    return this.#console.tail(maxBytes)
  }

  async #startOrEnd(signal: AbortSignal): Promise<StartResult> {
    try {
      const port = await this.#launch(signal)
      const { listenHost } = this.#options
      const host = listenHost.includes(':') ? `[${listenHost}]` : listenHost
      return {
        endpointUrl: `http://${host}:${port}`,
        address: null,
        instanceId: null,
        isolation: this.#options.confinement.sandbox === undefined ? 'process' : 'sandbox',
      }
    } catch (error) {
      try {
        await this.#end(0)
      } catch (endError) {
        throw new AggregateError([error, endError], 'the start failed and left processes behind')
      }
      throw signal.aborted ? signal.reason : await this.#startFailure(error)
    }
  }

  async #launch(signal: AbortSignal): Promise<number> {
    const { baseDir, clock, ids, paths } = this.#options
    signal.throwIfAborted()
    await endLeftovers(paths.root, clock)
    const command = runtimeCommand(this.#options, this.#input)
    const owner = ownerOf(this.#options.confinement, this.#input.workspaceId)
    await prepareBoxFolder({ baseDir, ids, owner }, this.#input)
    signal.throwIfAborted()
    const child = await spawnRuntime(command)
    this.#adopt(child)
    await writePidRecord(paths.root, `.${ids.hex(16)}.part`, {
      pid: child.leader.pid,
      startTicks: child.leader.startTicks,
      bootId: readBootId(),
      generation: this.#input.generation,
    })
    const timeoutMs = this.#options.startTimeoutMs
    const port = await awaitReady(child, { clock, timeoutMs, signal })
    if (!this.#hasLiveChild()) throw new Error('the runtime ended as soon as it was ready')
    this.#phase = 'running'
    return port
  }

  /** From here on the child's output is drained and its end is noticed, whatever happens next. */
  #adopt(child: RuntimeChild): void {
    this.#child = child
    const { stdout, stderr } = child.process
    this.#pumps = Promise.all(
      [stdout, stderr].map((stream) => stream && this.#console.pump(stream)),
    )
    child.exited.then(
      (reason) => this.#onExit(reason),
      (error: unknown) =>
        this.#options.log.error({ err: error, ...this.#facts() }, 'provisioner.bug'),
    )
  }

  async #onExit(reason: string): Promise<void> {
    if (this.#phase !== 'running') return
    const { workspaceId, generation } = this.#input
    try {
      // The runtime is gone, so nobody is left to be asked: as with a container's first process.
      await this.#end(0)
    } catch (error) {
      // The next start or stop of this workspace tries again, and fails loudly if it must.
      this.#options.log.error({ err: error, ...this.#facts() }, 'provisioner.end_failed')
    }
    this.#options.onUnexpectedExit({ workspaceId, generation, reason })
  }

  #end(graceMs: number): Promise<void> {
    this.#ending ??= this.#endOnce(graceMs)
    return this.#ending
  }

  async #endOnce(graceMs: number): Promise<void> {
    this.#phase = 'ending'
    try {
      if (this.#child !== undefined) await this.#endChild(this.#child, graceMs)
    } catch (error) {
      this.#phase = 'stuck'
      this.#ending = undefined
      throw error
    }
    this.#phase = 'gone'
    this.#options.onGone()
  }

  async #endChild(child: RuntimeChild, graceMs: number): Promise<void> {
    const { clock, paths } = this.#options
    await endProcesses({
      clock,
      find: () => findOwnMembers(paths.root, child.leader),
      groupId: child.leader.pid,
      // A sandbox's keeper would take the runtime down with it, before that has put things in order.
      sparedPid: this.#options.confinement.sandbox === undefined ? undefined : child.leader.pid,
      graceMs,
      killTimeoutMs: KILL_TIMEOUT_MS,
    })
    await child.exited
    await this.#closeConsole(child)
    await removePidRecord(paths.root)
  }

  async #closeConsole(child: RuntimeChild): Promise<void> {
    const isDrained = new AbortController()
    const patience = this.#options.clock.sleep(CONSOLE_DRAIN_MS, isDrained.signal)
    await Promise.race([this.#pumps, patience])
    isDrained.abort()
    await patience.catch(() => undefined)
    child.process.stdout?.destroy()
    child.process.stderr?.destroy()
    child.channel.destroy()
    await this.#pumps
    await this.#console.close()
  }

  /** For the log: the reason and what the runtime said last, without the secrets it was given. */
  async #startFailure(error: unknown): Promise<AppError> {
    const { credentials, secretEnv } = this.#input
    const tail = redactSecrets(
      await readConsoleTail(this.#options.paths.logs, FAILURE_TAIL_BYTES),
      [...Object.values(credentials), ...Object.values(secretEnv)],
    )
    const reason = error instanceof Error ? error.message : String(error)
    return new AppError('internal', {
      internal: `workspace start failed: ${reason}; its console ends with: ${tail}`,
      cause: error,
    })
  }

  #hasLiveChild(): boolean {
    const child = this.#child?.process
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  #facts(): Record<string, unknown> {
    return { workspace_id: this.#input.workspaceId, generation: this.#input.generation }
  }
}

/** Ends what an earlier start, of this platform or one that crashed, left of a box. */
export async function endLeftovers(boxRoot: string, clock: Clock): Promise<void> {
  await endProcesses({
    clock,
    find: () => findLeftovers(boxRoot),
    groupId: undefined,
    sparedPid: undefined,
    graceMs: 0,
    killTimeoutMs: KILL_TIMEOUT_MS,
  })
}
