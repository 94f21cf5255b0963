/** @module Keeps the platform knowing that this workspace is here: register, beat, register again. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { HeartbeatJob } from './heartbeat.job.ts'

/** Extra beats on the start and end of tasks come at most this often. */
const CLOSEST_BEATS_MS = 1_000

export type PresenceDeps = {
  readonly clock: Clock
  readonly log: Logger
  /** Resolves when registered; rejects only when aborted. */
  readonly register: (signal: AbortSignal) => Promise<void>
  readonly heartbeat: HeartbeatJob
}

/** One loop, so that a beat never overtakes a registration. */
export class Presence {
  readonly #deps: PresenceDeps
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #nudged = Promise.withResolvers<void>()
  #isRegistered = false

  constructor(deps: PresenceDeps) {
    this.#deps = deps
  }

  get isRegistered(): boolean {
    return this.#isRegistered
  }

  /** Begins in the background. Idempotent. */
  start(): void {
    this.#running ??= this.#run(this.#stopping.signal)
  }

  /** Asks for a beat soon, because something changed. Calls before it is sent are one. */
  nudge(): void {
    this.#nudged.resolve()
  }

  /** Aborts what is in flight and waits for the loop. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the runtime is stopping'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#deps.register(signal)
        this.#isRegistered = true
        await this.#beatUntilStranger(signal)
      } catch (error) {
        if (signal.aborted) return
        // A bug in here must not make the workspace disappear for good.
        this.#deps.log.error({ err: error }, 'presence.failed')
        await this.#pause(this.#deps.heartbeat.everyMs, signal)
      } finally {
        this.#isRegistered = false
      }
    }
  }

  async #beatUntilStranger(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#pause(CLOSEST_BEATS_MS, signal)
      await this.#waitForNudge(this.#deps.heartbeat.everyMs - CLOSEST_BEATS_MS, signal)
      if (signal.aborted) return
      this.#nudged = Promise.withResolvers<void>()
      if ((await this.#deps.heartbeat.run(signal)) === 'stranger') return
    }
  }

  async #waitForNudge(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const pause = this.#pause(ms, AbortSignal.any([signal, woken.signal]))
    await Promise.race([pause, this.#nudged.promise])
    woken.abort()
    await pause
  }

  /** An aborted pause simply ends: the loops look at the signal themselves. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
