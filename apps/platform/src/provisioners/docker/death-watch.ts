/**
 * @module Hears of boxes that end by themselves, from the engine's event stream. Whatever was missed
 * while the stream was away is found by looking, each time it is back.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { UnexpectedExit } from '../provisioner.ts'
import { isEndingName, labelFilter, scopeLabels } from './box-names.ts'
import { type Engine, unlessMissing } from './engine.ts'
import { exitReason } from './exit-reason.ts'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 30_000
const MAX_LINE_BYTES = 64 * 1024

const dieEvent = z.object({
  Actor: z.object({
    ID: z.string(),
    Attributes: z.object({ name: z.string(), exitCode: z.string().optional() }),
  }),
})

type Identity = Pick<UnexpectedExit, 'workspaceId' | 'generation'>

export type DeathWatchOptions = {
  readonly engine: Engine
  readonly scope: string
  readonly log: Logger
  readonly clock: Clock
  readonly onDeath: (exit: UnexpectedExit) => void
}

export class DeathWatch {
  readonly #options: DeathWatchOptions
  /** The boxes that this platform has seen running, by container id. */
  readonly #watched = new Map<string, Identity>()
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: DeathWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  watch(containerId: string, { workspaceId, generation }: Identity): void {
    // Not the argument itself: it may be a whole start with its secrets.
    this.#watched.set(containerId, { workspaceId, generation })
  }

  /** False when its death has been reported already, or when it never was watched. */
  unwatch(containerId: string): boolean {
    return this.#watched.delete(containerId)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { log, clock } = this.#options
    const { signal } = this.#stop
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
      try {
        await this.#listen(() => {
          retryMs = FIRST_RETRY_MS
        })
      } catch (error) {
        if (signal.aborted) return
        log.warn({ err: error, retry_ms: retryMs }, 'provisioner.events_lost')
      }
      await clock.sleep(retryMs, signal).catch(() => undefined)
      retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)
    }
  }

  async #listen(onConnected: () => void): Promise<void> {
    const { engine, scope } = this.#options
    const opening: Promise<AsyncIterable<unknown>> = engine.streams.getEvents({
      filters: { type: ['container'], event: ['die'], ...labelFilter(scopeLabels(scope)) },
      abortSignal: this.#stop.signal,
    })
    const stream = await opening
    onConnected()
    // From here on nothing is missed, so this is the moment to look.
    const looked = this.#lookAtAll()
    let text = ''
    for await (const chunk of stream) {
      text += String(chunk)
      const lines = text.split('\n')
      text = (lines.pop() ?? '').slice(0, MAX_LINE_BYTES)
      for (const line of lines) await this.#onLine(line)
    }
    await looked
  }

  async #onLine(line: string): Promise<void> {
    if (line.trim() === '') return
    const { Actor } = dieEvent.parse(JSON.parse(line))
    const { name, exitCode } = Actor.Attributes
    if (isEndingName(name)) this.#watched.delete(Actor.ID)
    else await this.#onDeath(Actor.ID, Number(exitCode ?? 0))
  }

  async #lookAtAll(): Promise<void> {
    try {
      for (const id of [...this.#watched.keys()]) await this.#onDeath(id, undefined)
    } catch (error) {
      // The next connection looks again, and so do the platform's sweeps.
      this.#options.log.warn({ err: error }, 'provisioner.look_failed')
    }
  }

  /** Without an exit code it is only a suspicion. */
  async #onDeath(containerId: string, exitCode: number | undefined): Promise<void> {
    if (!this.#watched.has(containerId)) return
    const container = this.#options.engine.calls.getContainer(containerId)
    const found = await unlessMissing(container.inspect())
    if (found?.State.Running === true) return
    const identity = this.#watched.get(containerId)
    if (identity === undefined) return
    this.#watched.delete(containerId)
    if (found !== undefined && isEndingName(found.Name)) return
    // Removed while nobody listened: asked for by another replica, as likely as not. Sweeps decide.
    if (found === undefined && exitCode === undefined) return
    const reason = exitReason(found?.State ?? { ExitCode: exitCode ?? 0 })
    this.#options.onDeath({ ...identity, reason })
  }
}
