/**
 * @module Brings events to those who follow them on this process, whichever replica they happened
 * on. A notification only says that it is time to look; looking every few seconds is what nothing
 * is lost by (design/architecture 2, ADR-0022).
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import {
  BROADCAST_CHANNEL,
  EVENT_HINT_CHANNEL,
  placeWaitingEvents,
  readEventsAfter,
  readHead,
} from '../db/event-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ToldEvent } from '../domain/told-event.ts'
import type { BroadcastEventName, EventPayload } from '../domain/workspace-events.ts'
import { BroadcastRelay } from './broadcast-relay.ts'
import { EventSubscription } from './event-subscription.ts'

/** Looked at least so often, whatever is notified. */
export const EVENT_POLL_MS = 5_000
/** Events that are read and fanned out at a time. */
const BATCH = 500
/** Streams at once on one process; each costs a socket and up to a queue of events. */
export const MAX_SUBSCRIPTIONS = 1_000

export type EventBusDeps = {
  readonly db: Db
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Logger
}

export class EventBus {
  readonly #deps: EventBusDeps
  readonly #relay: BroadcastRelay
  readonly #subscriptions = new Set<EventSubscription>()
  readonly #shutdown = new AbortController()
  #running: Promise<void> | undefined
  #wake: (() => void) | undefined
  #isHinted = false
  #isFailing = false
  /** The last event that was fanned out here. */
  #head: number | undefined

  constructor(deps: EventBusDeps) {
    this.#deps = deps
    this.#relay = new BroadcastRelay({
      ...deps,
      deliver: (event) => this.#offer(event),
    })
  }

  /** Begins to listen and to look, in the background: a database that is away is waited for. */
  start(): void {
    if (this.#running !== undefined) return
    this.#listen()
    this.#running = this.#run()
  }

  /** Tells followers on every replica, without a trace: never a credential, never a body. */
  broadcast(event: {
    readonly type: BroadcastEventName
    readonly workspaceId: WorkspaceId
    readonly payload: EventPayload
  }): void {
    if (this.#shutdown.signal.aborted) return
    this.#relay.send(event)
  }

  /** Throws `too_many_streams`, `shutting_down`. */
  subscribe(workspaceId: WorkspaceId | undefined): EventSubscription {
    if (this.#shutdown.signal.aborted) throw new AppError('shutting_down')
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) throw new AppError('too_many_streams')
    const subscription = new EventSubscription({
      clock: this.#deps.clock,
      workspaceId,
      onClose: (closed) => this.#subscriptions.delete(closed),
    })
    this.#subscriptions.add(subscription)
    return subscription
  }

  /** Ends every stream once it has what there is until now. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#shutdown.signal.aborted) {
      this.#shutdown.abort()
      this.#wake?.()
    }
    await this.#running
    await this.#relay.stop()
    for (const subscription of this.#subscriptions) subscription.close()
  }

  async #run(): Promise<void> {
    for (;;) {
      // The last look comes after the last change that this process made.
      const isLast = this.#shutdown.signal.aborted
      await this.#look()
      if (isLast) return
      await this.#untilTimeToLook()
    }
  }

  async #look(): Promise<void> {
    try {
      this.#isHinted = false
      await this.#fanOut()
      if (this.#isFailing) this.#deps.log.info('events.recovered')
      this.#isFailing = false
    } catch (error) {
      // Looked again at the next turn; said once per outage.
      if (!this.#isFailing) {
        this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'events.look_failed')
      }
      this.#isFailing = true
    }
  }

  #listen(): void {
    const hint = (): void => this.#hint()
    const failed = (error: unknown): void => {
      this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'events.listen_failed')
    }
    // Each time it listens again, something may have been missed.
    this.#deps.listen(EVENT_HINT_CHANNEL, { payload: hint, listening: hint, failed })
    this.#deps.listen(BROADCAST_CHANNEL, {
      payload: (payload) => this.#relay.receive(payload),
      listening: () => undefined,
      failed: () => undefined,
    })
  }

  async #fanOut(): Promise<void> {
    const { db } = this.#deps
    await placeWaitingEvents(db)
    let head = await this.#headOf(db)
    for (;;) {
      const page = await readEventsAfter(db, { after: head, limit: BATCH })
      for (const event of page) this.#offer(event)
      head = page.at(-1)?.seq ?? head
      this.#head = head
      if (page.length < BATCH) return
    }
  }

  /** Where to go on: behind everything while nobody follows. */
  async #headOf(db: Db): Promise<number> {
    if (this.#subscriptions.size > 0 && this.#head !== undefined) return this.#head
    const head = await readHead(db)
    if (this.#subscriptions.size === 0) return head
    // Who began to follow meanwhile may have read less than this.
    for (const subscription of this.#subscriptions) subscription.miss()
    return head
  }

  #offer(event: ToldEvent): void {
    for (const subscription of this.#subscriptions) subscription.offer(event)
  }

  #hint(): void {
    // With nobody to tell, the turn that comes anyway is soon enough.
    if (this.#subscriptions.size === 0) return
    this.#isHinted = true
    this.#wake?.()
  }

  async #untilTimeToLook(): Promise<void> {
    if (this.#isHinted || this.#shutdown.signal.aborted) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    try {
      await this.#deps.clock.sleep(EVENT_POLL_MS, woken.signal)
    } catch (error) {
      if (!woken.signal.aborted) throw error
    } finally {
      this.#wake = undefined
    }
  }
}
