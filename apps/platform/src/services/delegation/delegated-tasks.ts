/**
 * @module Tasks that agents go on with after they have answered a delegation: each is asked about
 * until it has come to its end, which is the end of the delegation (contract/platform 4.10).
 */
import type { Logger } from 'pino'
import { loggableDatabaseError } from '../../db/db-error.ts'
import { findDelegation } from '../../db/delegation-store.ts'
import {
  type Delegation,
  type DelegationEnd,
  endOfAnswer,
  failedWith,
  isOver,
} from '../../domain/delegation.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { AskedTask } from '../streams/whole-stream.ts'
import { type EndDelegationDeps, finishDelegation } from './end-delegation.ts'

export type DelegatedTasksDeps = EndDelegationDeps & {
  readonly log: Logger
  /** How the task of a delivery stands, in its agent's words. */
  readonly askTask: (delivery: Delivery, signal: AbortSignal) => Promise<AskedTask>
}

/** After a second, and later each time. */
const ASK_BASE_MS = 1_000
const ASK_CAP_MS = 15_000
/** So many at once by this replica, and of one workspace; a pass begins with the others when there is room. */
const MAX_FOLLOWED = 400
const MAX_FOLLOWED_OF_ONE = 50

type Followed = { readonly workspaceId: WorkspaceId; readonly end: Promise<void> }

export class DelegatedTasks {
  readonly #deps: DelegatedTasksDeps
  readonly #followed = new Map<string, Followed>()
  readonly #stopping = new AbortController()

  constructor(deps: DelegatedTasksDeps) {
    this.#deps = deps
  }

  /** In the background, unless it is followed here already. */
  follow(delegation: Delegation, delivery: Delivery): void {
    const { id, workspaceId } = delegation
    if (this.#stopping.signal.aborted || this.#followed.has(id)) return
    const ofOne = [...this.#followed.values()].filter((each) => each.workspaceId === workspaceId)
    if (this.#followed.size >= MAX_FOLLOWED || ofOne.length >= MAX_FOLLOWED_OF_ONE) return
    const end = this.#toItsEnd(delegation, delivery)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        // It is open still: a pass begins again.
        const err = loggableDatabaseError(error)
        this.#deps.log.warn({ err, delegation_id: id }, 'delegation.interrupted')
      })
      .finally(() => this.#followed.delete(id))
    this.#followed.set(id, { workspaceId, end })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the platform is stopping'))
    await Promise.all([...this.#followed.values()].map(({ end }) => end))
  }

  /** Or until the delegation has come to another one: a pass gives it no more than its half hour. */
  async #toItsEnd(delegation: Delegation, delivery: Delivery): Promise<void> {
    const { db, clock, askTask } = this.#deps
    const { signal } = this.#stopping
    for (let asked = 0; ; asked += 1) {
      await clock.sleep(Math.min(ASK_BASE_MS * 2 ** asked, ASK_CAP_MS), signal)
      const now = await findDelegation(db, delegation)
      if (now === undefined || isOver(now.status)) return
      const end = endOfTask(await askTask(delivery, signal))
      if (end === undefined) continue
      await finishDelegation(this.#deps, { id: delegation.id, end, via: 'proxy' })
      return
    }
  }
}

/** undefined: its agent is still at it, or cannot be asked at the moment. */
function endOfTask(asked: AskedTask): DelegationEnd | undefined {
  if (asked.kind === 'failed') return undefined
  if (asked.kind === 'absent') return failedWith('its agent does not know the task any more')
  return endOfAnswer({ result: { task: asked.task } })
}
