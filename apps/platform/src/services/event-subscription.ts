/** @module One follower's share of the events of this process: bounded, and never silently short. */
import type { Clock } from '@atrium/http-kit/clock'
import type { ToldEvent } from '../domain/told-event.ts'

/** Contract/platform 9.4 gives a stream 64 and drops; ours are read again from the database. */
export const MAX_QUEUED_EVENTS = 256

export type Taken = {
  readonly events: readonly ToldEvent[]
  /** Kept events came faster than they were taken: they have to be read from the database. */
  readonly hasMissedKept: boolean
  /** How many that are not kept anywhere were lost for the same reason. */
  readonly lost: number
}

export class EventSubscription {
  readonly #clock: Clock
  readonly #workspaceId: string | undefined
  readonly #onClose: (subscription: EventSubscription) => void
  #queue: ToldEvent[] = []
  #hasMissedKept = false
  #lost = 0
  #isEnded = false
  #wake: (() => void) | undefined

  /** Of one workspace, or of all without a `workspaceId`. */
  constructor(options: {
    readonly clock: Clock
    readonly workspaceId: string | undefined
    readonly onClose: (subscription: EventSubscription) => void
  }) {
    this.#clock = options.clock
    this.#workspaceId = options.workspaceId
    this.#onClose = options.onClose
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  offer(event: ToldEvent): void {
    if (this.#workspaceId !== undefined && event.workspaceId !== this.#workspaceId) return
    if (event.seq === undefined) this.#offerPassing(event)
    else this.#offerKept(event)
    this.#wake?.()
  }

  #offerPassing(event: ToldEvent): void {
    if (this.#queue.length < MAX_QUEUED_EVENTS) this.#queue.push(event)
    else this.#lost += 1
  }

  #offerKept(event: ToldEvent): void {
    if (this.#hasMissedKept) return
    if (this.#queue.length < MAX_QUEUED_EVENTS) this.#queue.push(event)
    else this.miss()
  }

  /** Kept events may have gone by: they are read again from where the follower is. */
  miss(): void {
    this.#hasMissedKept = true
    this.#queue = this.#queue.filter(({ seq }) => seq === undefined)
    this.#wake?.()
  }

  /** Everything that has come since; from here on the queue is filled again. */
  take(): Taken {
    const taken = { events: this.#queue, hasMissedKept: this.#hasMissedKept, lost: this.#lost }
    this.#queue = []
    this.#hasMissedKept = false
    this.#lost = 0
    return taken
  }

  /**
   * Resolves true as soon as there is something to take or it has ended, false after `ms`, and when
   * something else wakes it.
   */
  async wait(ms: number, other?: AbortSignal): Promise<boolean> {
    if (this.#hasSomething()) return true
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    const signal = other === undefined ? woken.signal : AbortSignal.any([woken.signal, other])
    try {
      await this.#clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#wake = undefined
    }
    return this.#hasSomething()
  }

  #hasSomething(): boolean {
    return this.#isEnded || this.#queue.length > 0 || this.#hasMissedKept || this.#lost > 0
  }

  /** Idempotent; who waits is woken. */
  close(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#wake?.()
    this.#onClose(this)
  }
}
