/**
 * @module Sends what waits, as soon as its agent has room: on a beat, on an end, on a wake, on a
 * notification, and now and then by itself. Looks after leases, its own and those that were lost.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Db } from '../../db/client.ts'
import { loggableDatabaseError } from '../../db/db-error.ts'
import {
  claimWaiting,
  expireWaiting,
  takeOverLost,
  workspacesWithWaiting,
} from '../../db/delivery-queue-writes.ts'
import { DELIVERY_CHANNEL } from '../../db/delivery-store.ts'
import type { ClaimedDelivery, DispatchOutcome } from '../../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../domain/ids.ts'
import { runEvery } from '../run-every.ts'
import { type DeliveryLedger, LEASE_MS } from './delivery-ledger.ts'

/** Three missed renewals lose a lease. */
const RENEW_EVERY_MS = 10_000
const SWEEP_EVERY_MS = 5_000
/** Every queue is looked at so often, whatever was not told. */
const LOOK_EVERY_MS = 15_000
/** Rows of a sweep's statement. */
const BATCH = 200
/** Whoever is at a queue is done with its claim by then. */
const CONTENDED_MS = 100
/** What was put back untouched is looked at again. */
const RELEASED_MS = 5_000
/** Workspaces that wait for their turn to be looked at; the slow timer finds the others. */
const MAX_DELAYED = 10_000

/**
 * `released`: put back by whoever was to send it, of which nothing was sent. `stopping` is aborted when
 * nothing is to be begun any more.
 */
export type SendClaimed = (
  delivery: ClaimedDelivery,
  stopping: AbortSignal,
) => Promise<DispatchOutcome | 'released'>

export type PumpDeps = {
  readonly db: Db
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly log: Logger
  readonly replicaId: string
  readonly ledger: DeliveryLedger
  /** Sends one; never rejects but for a defect. */
  readonly send: SendClaimed
}

type Turn = { again: boolean; hasProvenRoom: boolean }

export class DeliveryPump {
  readonly #deps: PumpDeps
  readonly #stopping = new AbortController()
  /** Per workspace: whether it has to be looked at once more after this look, and how. */
  readonly #draining = new Map<WorkspaceId, Turn>()
  readonly #delayed = new Map<WorkspaceId, { timer: NodeJS.Timeout; at: number }>()
  readonly #sending = new Set<Promise<void>>()
  #loops: readonly Promise<void>[] = []

  constructor(deps: PumpDeps) {
    this.#deps = deps
  }

  start(): void {
    const { db, ledger, listen, log } = this.#deps
    if (this.#loops.length > 0) return
    ledger.whenWaiting((workspaceId, { inMs, hasProvenRoom }) => {
      if (inMs > 0) this.pokeLater(workspaceId, inMs)
      else this.poke(workspaceId, hasProvenRoom)
    })
    listen(DELIVERY_CHANNEL, {
      payload: (payload) => {
        const id = workspaceIdSchema.safeParse(payload)
        if (id.success) this.poke(id.data)
      },
      listening: () => undefined,
      failed: (error) =>
        log.warn({ err: loggableDatabaseError(error) }, 'deliveries.listen_failed'),
    })
    this.#loops = [
      this.#every(RENEW_EVERY_MS, () => ledger.renewLeases()),
      this.#every(SWEEP_EVERY_MS, () => this.#sweep()),
      this.#every(LOOK_EVERY_MS, async () => {
        for (const workspaceId of await workspacesWithWaiting(db, BATCH)) this.poke(workspaceId)
      }),
    ]
  }

  /**
   * Looks whether something waits for the workspace that it has room for. `hasProvenRoom`: it has
   * shown so, which ends the back-off of what it refused as too much. Returns at once.
   */
  poke(workspaceId: WorkspaceId, hasProvenRoom = false): void {
    if (this.#stopping.signal.aborted) return
    const running = this.#draining.get(workspaceId)
    if (running !== undefined) {
      running.again = true
      running.hasProvenRoom ||= hasProvenRoom
      return
    }
    const drain = this.#drain(workspaceId, hasProvenRoom).finally(() => this.#sending.delete(drain))
    this.#sending.add(drain)
  }

  /** The same after a while; of several the earliest counts. */
  pokeLater(workspaceId: WorkspaceId, delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    const at = performance.now() + delayMs
    const earlier = this.#delayed.get(workspaceId)
    if (earlier !== undefined && earlier.at <= at) return
    if (earlier === undefined && this.#delayed.size >= MAX_DELAYED) return
    clearTimeout(earlier?.timer)
    const timer = setTimeout(() => {
      this.#delayed.delete(workspaceId)
      this.poke(workspaceId)
    }, delayMs)
    this.#delayed.set(workspaceId, { timer, at })
  }

  /** Claims nothing any more and waits until what is on its way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the platform is stopping'))
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
    await Promise.all(this.#loops)
    while (this.#sending.size > 0) await Promise.all(this.#sending)
  }

  async #drain(workspaceId: WorkspaceId, hasProvenRoom: boolean): Promise<void> {
    const turn: Turn = { again: false, hasProvenRoom }
    this.#draining.set(workspaceId, turn)
    try {
      do {
        const look = { workspaceId, hasProvenRoom: turn.hasProvenRoom }
        turn.again = false
        turn.hasProvenRoom = false
        await this.#look(look)
      } while (turn.again && !this.#stopping.signal.aborted)
    } catch (error) {
      // It waits where it is; the slow timer looks again.
      this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'deliveries.claim_failed')
    } finally {
      this.#draining.delete(workspaceId)
    }
  }

  async #look(look: { workspaceId: WorkspaceId; hasProvenRoom: boolean }): Promise<void> {
    const { db, replicaId } = this.#deps
    const claimed = await claimWaiting(db, { ...look, replicaId, leaseMs: LEASE_MS })
    for (const delivery of claimed ?? []) this.#send(delivery)
    if (claimed === undefined) this.pokeLater(look.workspaceId, CONTENDED_MS)
  }

  #send(delivery: ClaimedDelivery): void {
    const { ledger } = this.#deps
    ledger.hold(delivery)
    const sending = this.#sendAndSettle(delivery)
      .catch((error: unknown) => {
        // Its lease runs out, and then it is sent again or said to be of unknown outcome.
        this.#deps.log.error(
          { err: loggableDatabaseError(error), delivery_id: delivery.id },
          'delivery.failed',
        )
      })
      .finally(() => {
        ledger.letGo(delivery)
        this.#sending.delete(sending)
      })
    this.#sending.add(sending)
  }

  async #sendAndSettle(delivery: ClaimedDelivery): Promise<void> {
    const outcome = await this.#deps.send(delivery, this.#stopping.signal)
    if (outcome === 'released') this.pokeLater(delivery.workspaceId, RELEASED_MS)
    else await this.#deps.ledger.settle(delivery, outcome)
  }

  async #sweep(): Promise<void> {
    const { db, log } = this.#deps
    for (const lost of await takeOverLost(db, BATCH)) {
      log.warn({ delivery_id: lost.id, is_queued: lost.isQueued }, 'delivery.taken_over')
      if (lost.isQueued) this.poke(lost.workspaceId)
    }
    await expireWaiting(db, BATCH)
  }

  #every(everyMs: number, work: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#deps
    const repetition = {
      clock,
      log,
      signal: this.#stopping.signal,
      failed: 'deliveries.sweep_failed',
    }
    return runEvery(repetition, everyMs, work)
  }
}
