/**
 * @module The ledger as everybody else sees it: a message is accepted, somebody sends it, and how
 * that ended is written down and told to whoever waits for it, on any replica (ADR-0032).
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Db, Sql } from '../../db/client.ts'
import { isContentRefused, loggableDatabaseError } from '../../db/db-error.ts'
import { renewLeases } from '../../db/delivery-queue-writes.ts'
import { awaitDelivery, DELIVERY_DONE_CHANNEL, findDelivery } from '../../db/delivery-store.ts'
import {
  acceptDeliveries,
  type Settled,
  type Settlement,
  settleDeliveries,
} from '../../db/delivery-writes.ts'
import {
  type Accepted,
  type Claim,
  type Delivery,
  type DispatchOutcome,
  isFinalState,
  type NewDelivery,
} from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { GroupCommit } from '../group-commit.ts'
import { outlastOutage } from '../outlast-outage.ts'

/** A replica that says nothing for so long has lost what it was sending. */
export const LEASE_MS = 30_000
/** Looked for at least so often, whatever is notified. */
const LOOK_EVERY_MS = 5_000

/** Bounds of what waits for its statement (design/performance 3). */
const GROUPS = {
  maxGroupItems: 100,
  maxGroupBytes: 8 * 1024 * 1024,
  maxWaitingItems: 5_000,
  maxWaitingBytes: 64 * 1024 * 1024,
  maxWaitMs: 10_000,
  // What one message or one agent says is not to be the end of everybody else's.
  isOneToBlame: isContentRefused,
}
/** Hardly anybody waits for an end: the answer is out when it is written down. */
const SETTLE_REST_MS = 10
/** What a delivery holds besides its bytes. */
const BASE_BYTES = 1_024

export type LedgerDeps = {
  readonly db: Db
  readonly sql: Sql
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly log: Logger
  readonly replicaId: string
  /** So many may wait for a workspace. */
  readonly queueCap: number
}

/** Who is to look at a workspace's queue. */
export type OnWaiting = (
  workspaceId: WorkspaceId,
  /** `hasProvenRoom`: something has just ended there. */
  look: { readonly inMs: number; readonly hasProvenRoom: boolean },
) => void

export class DeliveryLedger {
  readonly #deps: LedgerDeps
  readonly #accepts: GroupCommit<NewDelivery, Accepted>
  readonly #settles: GroupCommit<Settlement, Settled>
  readonly #waiters = new Map<string, Set<() => void>>()
  readonly #onWaiting = new Set<OnWaiting>()
  /** Fences of what somebody here is sending: nothing else of this replica's is renewed. */
  readonly #held = new Set<string>()

  constructor(deps: LedgerDeps) {
    this.#deps = deps
    const { replicaId, queueCap } = deps
    this.#accepts = new GroupCommit<NewDelivery, Accepted>({
      ...GROUPS,
      run: (items) => acceptDeliveries(deps, { items, replicaId, queueCap, leaseMs: LEASE_MS }),
      sizeOf: (item) => item.request.length + BASE_BYTES,
    })
    this.#settles = new GroupCommit<Settlement, Settled>({
      ...GROUPS,
      restMs: SETTLE_REST_MS,
      run: (settlements) => settleDeliveries(deps.sql, settlements),
      sizeOf: ({ outcome }) =>
        BASE_BYTES + (outcome.kind === 'answered' ? (outcome.response?.length ?? 0) : 0),
    })
  }

  /** Begins to hear of deliveries that end elsewhere. */
  start(): void {
    const { listen, log } = this.#deps
    listen(DELIVERY_DONE_CHANNEL, {
      payload: (id) => this.#tell(id),
      // What ended while nobody listened is not told again.
      listening: () => {
        for (const id of this.#waiters.keys()) this.#tell(id)
      },
      failed: (error) =>
        log.warn({ err: loggableDatabaseError(error) }, 'deliveries.listen_failed'),
    })
  }

  /** `onWaiting` is called when an attempt has ended and something waits for that workspace. */
  whenWaiting(onWaiting: OnWaiting): void {
    this.#onWaiting.add(onWaiting)
  }

  /** Has the workspace's queue looked at: something has changed that may let it go on. */
  lookAt(...look: Parameters<OnWaiting>): void {
    for (const onWaiting of this.#onWaiting) onWaiting(...look)
  }

  /** Writes it down before anything is sent. Throws `platform_unavailable` and database errors. */
  async accept(delivery: NewDelivery): Promise<Accepted> {
    const accepted = await this.#accepts.submit(delivery)
    if (accepted.kind === 'dispatched') this.hold(accepted.claim)
    return accepted
  }

  /**
   * Keeps the claim's lease until it is settled or let go. What was accepted although nobody was told
   * so, and what could not be settled, is held by nobody: its lease runs out.
   */
  hold({ fence }: Claim): void {
    this.#held.add(fence)
  }

  letGo({ fence }: Claim): void {
    this.#held.delete(fence)
  }

  async renewLeases(): Promise<void> {
    await renewLeases(this.#deps.db, { leaseMs: LEASE_MS, fences: [...this.#held] })
  }

  /**
   * Writes down how an attempt ended, while its claim is held. A database that is away is waited for
   * as long as a lease lasts: what the agent has answered would be of unknown outcome otherwise.
   */
  async settle(claim: Claim, outcome: DispatchOutcome): Promise<Settled> {
    const settled = await outlastOutage(this.#deps, AbortSignal.timeout(LEASE_MS), () =>
      this.#settles.submit({ claim, outcome }),
    ).finally(() => this.letGo(claim))
    if (settled.kind === 'lost') {
      this.#deps.log.warn({ delivery_id: claim.id, outcome: outcome.kind }, 'delivery.claim_lost')
      return settled
    }
    if (isFinalState(settled.state)) this.#tell(claim.id)
    if (!settled.hasWaiting) return settled
    const look =
      settled.state === 'queued'
        ? { inMs: settled.dueInMs, hasProvenRoom: false }
        : { inMs: 0, hasProvenRoom: outcome.kind === 'answered' }
    this.lookAt(claim.workspaceId, look)
    return settled
  }

  /**
   * The delivery once it is over, whoever brings that about; as it is when `signal` is aborted
   * before; undefined when there is none.
   */
  async whenOver(id: string, signal: AbortSignal): Promise<Delivery | undefined> {
    const rope = this.#wait(id)
    try {
      let delivery = await awaitDelivery(this.#deps.db, id)
      while (delivery !== undefined && !isFinalState(delivery.state) && !signal.aborted) {
        await rope.rung(signal)
        delivery = await findDelivery(this.#deps.db, id)
      }
      return delivery
    } finally {
      rope.close()
    }
  }

  /** Resolves when nothing waits to be written. */
  async drain(): Promise<void> {
    await Promise.all([this.#accepts.drain(), this.#settles.drain()])
  }

  #wait(id: string) {
    let ring = new AbortController()
    const onTold = (): void => ring.abort()
    const waiters = this.#waiters.get(id) ?? new Set()
    this.#waiters.set(id, waiters.add(onTold))
    return {
      rung: async (signal: AbortSignal): Promise<void> => {
        const either = AbortSignal.any([ring.signal, signal])
        // Aborted is what it waits for.
        await this.#deps.clock.sleep(LOOK_EVERY_MS, either).catch(() => undefined)
        if (ring.signal.aborted) ring = new AbortController()
      },
      close: () => {
        waiters.delete(onTold)
        if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id)
      },
    }
  }

  #tell(id: string): void {
    for (const onTold of this.#waiters.get(id) ?? []) onTold()
  }
}
