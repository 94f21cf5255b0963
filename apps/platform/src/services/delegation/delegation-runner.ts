/**
 * @module Brings delegations to their end: sends each through the gateway like any other message, and
 * reads in the ledger what became of it. Whatever dies meanwhile, the row of the message says whether
 * it was sent; a pass of any replica finds what nobody is at (contract/platform 4.10).
 */
import { readLossless } from '@atrium/a2a-schema/lossless-json'
import { findAppError } from '@atrium/http-kit/app-error'
import { loggableDatabaseError } from '../../db/db-error.ts'
import {
  deleteDelegationsBefore,
  findDeliveryOfDelegation,
  moveDelegation,
  openDelegations,
} from '../../db/delegation-store.ts'
import {
  type Delegation,
  type DelegationEnd,
  endOfAnswer,
  failedWith,
} from '../../domain/delegation.ts'
import { type Delivery, isFinalState } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { GatewayAnswer, GatewayCall } from '../gateway/gateway-call.ts'
import { pruneOldRows } from '../prune-old-rows.ts'
import type { PassResult } from '../sweeps/sweep.ts'
import { DelegatedTasks, type DelegatedTasksDeps } from './delegated-tasks.ts'
import { finishDelegation } from './end-delegation.ts'

export type DelegationRunnerDeps = DelegatedTasksDeps & {
  readonly ledger: Pick<DeliveryLedger, 'whenOver'>
  readonly activityRetentionDays: number
  /** Sends a message on behalf of a workspace. */
  readonly call: (call: GatewayCall) => Promise<GatewayAnswer>
}

/** Contract/platform 4.12. */
const RETRY_MS = 8_000
const CAP_MS = 30 * 60_000
/** An agent that has recorded one and says nothing of its end for so long never will. */
const RECORDED_CAP_MS = 24 * 60 * 60_000
/** Whoever is at one touches it, or its message, within this time. */
const ABANDONED_MS = 60_000
/** As many are asked at once by this replica, the pass begins with the others; and so many queues watched. */
const MAX_ASKING = 200
/** One workspace does not keep all the others waiting. */
const MAX_ASKING_OF_ONE = 50
const MAX_WATCHED = 200
const BATCH = 200

export class DelegationRunner {
  readonly #deps: DelegationRunnerDeps
  readonly #running = new Map<string, Promise<void>>()
  /** Whose delegations are being asked, by their ids. */
  readonly #asking = new Map<string, WorkspaceId>()
  readonly #tasks: DelegatedTasks
  readonly #stopping = new AbortController()

  constructor(deps: DelegationRunnerDeps) {
    this.#deps = deps
    this.#tasks = new DelegatedTasks(deps)
  }

  /** Begins with one in the background; left to a pass when there is too much of it. */
  run(delegation: Delegation): void {
    const { id, workspaceId } = delegation
    if (this.#stopping.signal.aborted || this.#running.has(id)) return
    const ofOne = [...this.#asking.values()].filter((each) => each === workspaceId)
    if (this.#asking.size >= MAX_ASKING || ofOne.length >= MAX_ASKING_OF_ONE) return
    this.#asking.set(id, workspaceId)
    const running = this.#bringToEnd(delegation)
      .catch((error: unknown) => {
        // It is open still: a pass looks after it.
        const err = loggableDatabaseError(error)
        this.#deps.log.warn({ err, delegation_id: id }, 'delegation.interrupted')
      })
      .finally(() => {
        this.#asking.delete(id)
        this.#running.delete(id)
      })
    this.#running.set(id, running)
  }

  /** Waits for nobody's answer any more; what is open is found by the pass of another replica. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the platform is stopping'))
    await Promise.all([...this.#running.values(), this.#tasks.stop()])
  }

  /** One pass over what is open: of all workspaces, or of one that wants to know. */
  async look(
    of: { readonly workspaceId?: WorkspaceId; readonly limit?: number } = {},
  ): Promise<PassResult> {
    const open = await openDelegations(this.#deps.db, { ...of, limit: of.limit ?? BATCH })
    let ended = 0
    for (const delegation of open) {
      if (await this.#lookAfter(delegation)) ended += 1
    }
    return { open: open.length - ended, ended }
  }

  /** One pass that deletes what is older than the activity is kept. */
  prune(signal: AbortSignal): Promise<PassResult> {
    const { db, clock, activityRetentionDays: days } = this.#deps
    return pruneOldRows(clock, { days, batch: 1_000, signal }, (old) =>
      deleteDelegationsBefore(db, old),
    )
  }

  async #bringToEnd(delegation: Delegation): Promise<void> {
    const { db, clock } = this.#deps
    const move = { id: delegation.id, from: 'pending', to: 'dispatched' } as const
    if (!(await moveDelegation(db, { ...move, now: clock.now() }))) return
    const over = new AbortController()
    const signal = AbortSignal.any([this.#stopping.signal, over.signal])
    const cap = clock.sleep(CAP_MS, signal).then(() => TIMED_OUT)
    let outcome: Outcome
    try {
      outcome = await Promise.race([this.#ask(delegation, signal), cap])
    } finally {
      this.#asking.delete(delegation.id)
      over.abort()
      // Aborted is how it ends when it is not needed.
      await cap.catch(() => undefined)
    }
    await this.#write(delegation, outcome)
  }

  /** Once more after 8 s when it was not to be had (contract/platform 4.10). */
  async #ask(delegation: Delegation, signal: AbortSignal): Promise<Outcome> {
    const first = await this.#askOnce(delegation, signal)
    if (first.kind !== 'refused' || !first.isWorthRetry) return first
    await this.#deps.clock.sleep(RETRY_MS, signal)
    return await this.#askOnce(delegation, signal)
  }

  async #askOnce(delegation: Delegation, signal: AbortSignal): Promise<Outcome> {
    const { call, ids } = this.#deps
    try {
      const answer = await call({
        workspaceId: delegation.targetId,
        caller: { kind: 'workspace', workspaceId: delegation.workspaceId, tokenId: '' },
        body: messageOf(delegation),
        headers: () => undefined,
        requestId: ids.uuid(),
        signal,
      })
      if (answer.kind === 'stream') {
        answer.body.destroy()
        return { kind: 'ended', end: failedWith('the agent answered with events') }
      }
      return outcomeOf(answer)
    } catch (error) {
      const known = findAppError(error)
      if (known === undefined) throw error
      const isRestarting = known.status === 503 && known.extensions['restarting'] === true
      const isWorthRetry = known.status === 502 || isRestarting
      return { kind: 'refused', isWorthRetry, error: known.publicText }
    }
  }

  async #write(delegation: Delegation, outcome: Outcome): Promise<void> {
    const { id } = delegation
    const now = this.#deps.clock.now()
    switch (outcome.kind) {
      case 'queued':
        await moveDelegation(this.#deps.db, { id, to: 'queued', now })
        return await this.#waitForLedger(delegation)
      case 'in_progress':
        // What the agent calls the task is in the ledger in a moment.
        await moveDelegation(this.#deps.db, { id, to: 'in_progress', now })
        return await this.#waitForLedger(delegation)
      case 'ended':
        await finishDelegation(this.#deps, { id, end: outcome.end, via: 'proxy' })
        return
      case 'refused':
        await finishDelegation(this.#deps, { id, end: failedWith(outcome.error), via: 'proxy' })
    }
  }

  /** For a while here, so that its end is known at once; after that a pass finds it. */
  async #waitForLedger(delegation: Delegation): Promise<void> {
    const { db, ledger } = this.#deps
    if (this.#running.size - this.#asking.size > MAX_WATCHED) return
    const delivery = await findDeliveryOfDelegation(db, delegation)
    if (delivery === undefined) return
    const patience = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(CAP_MS)])
    const over = await ledger.whenOver(delivery.id, patience)
    if (over !== undefined) await this.#stitch({ ...delegation, status: 'queued' }, over)
  }

  /** Whether it is over now. */
  async #lookAfter(delegation: Delegation): Promise<boolean> {
    const { db, clock } = this.#deps
    const { id, createdAt, updatedAt } = delegation
    const age = clock.now().getTime() - createdAt.getTime()
    if (delegation.isRecorded) {
      if (age < RECORDED_CAP_MS) return false
      const end = failedWith('its agent has not said what became of it')
      return await finishDelegation(this.#deps, { id, end, via: 'timeout' })
    }
    const delivery = await findDeliveryOfDelegation(db, delegation)
    if (delivery !== undefined && (await this.#stitch(delegation, delivery))) return true
    const isWaiting = delivery?.state === 'queued' || delivery?.state === 'leased'
    if (age > CAP_MS && !isWaiting) {
      return await finishDelegation(this.#deps, { id, end: TIMED_OUT.end, via: 'timeout' })
    }
    if (delivery !== undefined || clock.now().getTime() - updatedAt.getTime() < ABANDONED_MS) {
      return false
    }
    // Nothing was ever sent, and who was to send it is gone.
    const again = { id, from: delegation.status, to: 'pending', now: clock.now() } as const
    if (await moveDelegation(db, again)) this.run({ ...delegation, status: 'pending' })
    return false
  }

  /** Has the delegation say what its message does; whether it is over now. */
  async #stitch(delegation: Delegation, delivery: Delivery): Promise<boolean> {
    const { db, clock } = this.#deps
    const { id } = delegation
    if (isFinalState(delivery.state)) {
      // Who asked may be about to try again, or to tell an answer that was too large to keep.
      const isTriedAgain =
        (delivery.state !== 'completed' || delivery.response === null) &&
        delegation.status !== 'queued' &&
        clock.now().getTime() - delegation.updatedAt.getTime() < ABANDONED_MS
      if (isTriedAgain || this.#isAnswering(delegation)) return false
      const end = endOfDelivery(delivery)
      if (end !== undefined) {
        return await finishDelegation(this.#deps, { id, end, via: 'queue_drain' })
      }
      this.#tasks.follow(delegation, delivery)
    }
    const to = statusOf(delivery)
    if (to !== delegation.status) await moveDelegation(db, { id, to, now: clock.now() })
    return false
  }

  /** Its answer is on the way to who asked for it here, whole, and not only as much as was kept. */
  #isAnswering({ id, status }: Delegation): boolean {
    return this.#running.has(id) && status !== 'queued'
  }
}

type Outcome =
  | { readonly kind: 'ended'; readonly end: DelegationEnd }
  | { readonly kind: 'queued' }
  | { readonly kind: 'in_progress' }
  | { readonly kind: 'refused'; readonly isWorthRetry: boolean; readonly error: string }

const TIMED_OUT = { kind: 'ended', end: failedWith('timed out after 30 minutes') } as const

function messageOf({ id, task }: Delegation): Buffer {
  const message = {
    ...{ kind: 'message', role: 'user', messageId: id, parts: [{ kind: 'text', text: task }] },
    metadata: { delegation_id: id },
  }
  const params = { message, configuration: { blocking: true } }
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'message/send', params }))
}

/** The acknowledgement of a queue is not an answer, whichever its status (wart W11). */
function outcomeOf({ body }: { readonly body: Buffer }): Outcome {
  const answer = readLossless(body.toString('utf8'))
  if (isQueued(answer)) return { kind: 'queued' }
  const end = endOfAnswer(answer)
  return end === undefined ? { kind: 'in_progress' } : { kind: 'ended', end }
}

function isQueued(answer: unknown): boolean {
  return (
    typeof answer === 'object' &&
    answer !== null &&
    'status' in answer &&
    answer.status === 'queued' &&
    'queue_id' in answer
  )
}

/** undefined: its agent is still at it, or has to be asked for what could not be kept. */
function endOfDelivery(delivery: Delivery): DelegationEnd | undefined {
  if (delivery.state !== 'completed') {
    return failedWith(delivery.reason ?? delivery.lastError ?? delivery.state)
  }
  if (delivery.response === null) {
    return delivery.upstreamTaskId === null ? failedWith('the answer was not kept') : undefined
  }
  return endOfAnswer(readLossless(delivery.response.toString('utf8')))
}

function statusOf(delivery: Delivery) {
  if (isFinalState(delivery.state)) return 'in_progress'
  return delivery.state === 'dispatched' ? 'dispatched' : 'queued'
}
