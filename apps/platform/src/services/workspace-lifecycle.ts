/**
 * @module The only place that starts, stops and removes workspaces, and the only importer of
 * `provisioners/` beside the wiring (H3): create, recovery after a death and removal go through it.
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import {
  findLiveWorkspace,
  findWorkspace,
  listChildren,
  listLiveDescendants,
  listLiveWorkspaces,
  purgeRemovedWorkspaces,
  type StatusChange,
  transitionWorkspace,
} from '../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { RestartBudget } from '../domain/restart-budget.ts'
import { isExternal } from '../domain/runtime-kind.ts'
import { isManaged } from '../domain/workspace-endpoint.ts'
import type { UnexpectedExit } from '../provisioners/provisioner.ts'
import { KeyedMutex } from './keyed-mutex.ts'
import { outlastOutage } from './outlast-outage.ts'
import { type ProvisionDeps, provisionWorkspace } from './provision-workspace.ts'
import { TaskTracker } from './task-tracker.ts'
import { ensureInboundSecret, revokeWorkspaceTokens } from './workspace-credentials.ts'

/** How many workspaces are started at once when the platform comes back. */
const RESUME_CONCURRENCY = 4

/** Statuses in which a workspace that the platform ran is meant to be running. */
const RESUMABLE = new Set(['provisioning', 'online', 'degraded', 'offline'])

export type Removal = { readonly status: 'removed' | 'purged'; readonly cascadeDeleted: number }

export class WorkspaceLifecycle {
  readonly #deps: ProvisionDeps
  readonly #mutex = new KeyedMutex()
  readonly #budget = new RestartBudget()
  readonly #tracker: TaskTracker
  readonly #shutdown = new AbortController()
  /** Aborts the start in progress of a workspace that is being removed. */
  readonly #starts = new Map<string, AbortController>()
  /** Until then the rows may be about the boxes of another platform, which holds the back-end. */
  #hasBackEnd = false

  constructor(deps: ProvisionDeps) {
    this.#deps = deps
    this.#tracker = new TaskTracker((error) => {
      if (!this.#shutdown.signal.aborted) deps.log.error({ err: error }, 'lifecycle.run_failed')
    })
  }

  /** Opens the back-end and starts again whatever ran when the platform last stopped. */
  async start(): Promise<void> {
    const { provisioner, db, log } = this.#deps
    provisioner.onUnexpectedExit((exit) => this.#tracker.run(() => this.#recover(exit)))
    await provisioner.open()
    this.#hasBackEnd = true
    const rows = (await listLiveWorkspaces(db)).filter(
      (row) => RESUMABLE.has(row.status) && (isManaged(row) || isUnstarted(row)),
    )
    if (rows.length > 0) log.info({ count: rows.length }, 'lifecycle.resuming')
    this.#tracker.run(async () => {
      const queue = rows.map((row) => workspaceIdSchema.parse(row.id))
      const worker = async (): Promise<void> => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) await this.#provision(id)
      }
      await Promise.all(Array.from({ length: RESUME_CONCURRENCY }, worker))
    })
  }

  /** Starts a workspace in the background; the row tells how it went. */
  provision(id: WorkspaceId): void {
    this.#tracker.run(() => this.#provision(id))
  }

  async #provision(id: WorkspaceId): Promise<void> {
    await this.#mutex.run(id, async () => {
      if (this.#shutdown.signal.aborted) return
      const start = new AbortController()
      this.#starts.set(id, start)
      try {
        await provisionWorkspace(
          this.#deps,
          id,
          AbortSignal.any([start.signal, this.#shutdown.signal]),
        )
      } finally {
        this.#starts.delete(id)
      }
    })
  }

  /** A box ended by itself: the provisioner's own word, so the row follows it (contract 7.3). */
  async #recover(exit: UnexpectedExit): Promise<void> {
    const { clock, log } = this.#deps
    const id = workspaceIdSchema.parse(exit.workspaceId)
    await this.#move(exit, 'offline', {
      statusReason: `runtime ended: ${exit.reason}`,
      endpointUrl: null,
      activeTasks: 0,
    })
    if (!(await this.#isOffline(exit)) || this.#shutdown.signal.aborted) return
    const verdict = this.#budget.note(id, clock.now().getTime())
    log.warn({ workspace_id: id, reason: exit.reason, verdict: verdict.kind }, 'lifecycle.box_died')
    if (verdict.kind === 'give_up') {
      await this.#move(exit, 'failed', {
        statusReason: `runtime ended ${verdict.deaths} times within 10 minutes, last: ${exit.reason}; see its console output`,
      })
      return
    }
    await clock.sleep(verdict.delayMs, this.#shutdown.signal)
    if (await this.#isOffline(exit)) await this.#provision(id)
  }

  /** Moves the row of the box that ended, unless a newer generation has taken over. */
  async #move(exit: UnexpectedExit, to: 'offline' | 'failed', set: StatusChange): Promise<void> {
    const { db, clock } = this.#deps
    const id = workspaceIdSchema.parse(exit.workspaceId)
    const { generation } = exit
    await outlastOutage(this.#deps, this.#shutdown.signal, () =>
      transitionWorkspace(db, { id, to, generation, now: clock.now(), set }),
    )
  }

  /** Whether nothing has happened to the workspace since its box ended. */
  async #isOffline(exit: UnexpectedExit): Promise<boolean> {
    const row = await outlastOutage(this.#deps, this.#shutdown.signal, () =>
      findLiveWorkspace(this.#deps.db, workspaceIdSchema.parse(exit.workspaceId)),
    )
    return row?.status === 'offline' && row.generation === exit.generation
  }

  /**
   * Removes a workspace with everything below it (contract/platform 7.7): rows first, then boxes
   * and volumes, then with `purge` the rows themselves. Safe to repeat. Throws
   * `workspace_not_found`, `confirmation_required`, `stop_failed`.
   */
  async remove(
    id: WorkspaceId,
    options: { readonly isConfirmed: boolean; readonly isPurge: boolean },
  ): Promise<Removal> {
    const { db } = this.#deps
    const root = await findWorkspace(db, id)
    if (root === undefined) throw new AppError('workspace_not_found')
    const { ids, removedBelow } = await this.#markRemoved(id, options.isConfirmed)
    const failures = (await Promise.all(ids.map((each) => this.#tearDown(each)))).filter(
      (failed) => failed,
    ).length
    if (failures > 0) {
      throw new AppError('stop_failed', {
        extensions: { removed_count: ids.length, stop_failures: failures },
      })
    }
    if (!options.isPurge) return { status: 'removed', cascadeDeleted: removedBelow }
    await db.transaction((tx) => purgeRemovedWorkspaces(tx, ids))
    // Rows that were removed before go only now.
    return { status: 'purged', cascadeDeleted: ids.length - 1 }
  }

  /**
   * Marks the tree from its root down; returns all its ids, and how many below the root were not
   * removed before. Rolls back without a needed confirmation.
   */
  async #markRemoved(
    root: WorkspaceId,
    isConfirmed: boolean,
  ): Promise<{ readonly ids: readonly WorkspaceId[]; readonly removedBelow: number }> {
    const tree = await this.#deps.db.transaction(async (tx) => {
      const marked = new Set([root])
      const moved: WorkspaceId[] = []
      // Grows while it is walked. Children are looked for below a row that is locked already: who
      // adds one has either committed or will find no parent.
      for (const id of marked) {
        if (await this.#markOne(tx, id)) moved.push(id)
        const children = await listChildren(tx, id)
        if (!isConfirmed && children.some(({ isLive }) => isLive)) {
          throw confirmationRequired(await listLiveDescendants(tx, root))
        }
        for (const child of children) marked.add(child.id)
      }
      return { ids: [...marked], removedBelow: moved.filter((id) => id !== root).length }
    })
    for (const id of tree.ids) this.#starts.get(id)?.abort(new Error('workspace removed'))
    return tree
  }

  /** False for one that an earlier, interrupted removal has marked. */
  async #markOne(db: Db, id: WorkspaceId): Promise<boolean> {
    const now = this.#deps.clock.now()
    const set = { endpointUrl: null, agentUrl: null }
    const moved = await transitionWorkspace(db, { id, to: 'removed', now, set })
    await revokeWorkspaceTokens({ ...this.#deps, db }, { workspaceId: id, reason: 'removal' })
    return moved !== undefined
  }

  /** Stops the box and removes its volume; resolves true when that failed. */
  async #tearDown(id: WorkspaceId): Promise<boolean> {
    const { provisioner, log } = this.#deps
    return this.#mutex.run(id, async () => {
      try {
        await provisioner.stop({ workspaceId: id })
        await provisioner.removeVolume({ workspaceId: id })
        this.#budget.forget(id)
        return false
      } catch (error) {
        // Without a back-end nothing was ever started from here.
        if (findAppError(error)?.code === 'provisioner_unavailable') return false
        log.error({ err: error, workspace_id: id }, 'lifecycle.teardown_failed')
        return true
      }
    })
  }

  /**
   * Puts the current inbound secret into the workspace's box where its back-end can, so that a
   * fresh or drifted one need not wait for a heartbeat (contract/platform 13.18). Background.
   */
  deliverInboundSecret(id: WorkspaceId): void {
    this.#tracker.run(async () => {
      const row = await findLiveWorkspace(this.#deps.db, id)
      if (row === undefined || !isManaged(row)) return
      const { secret } = await ensureInboundSecret(this.#deps, row)
      await this.#deps.provisioner.writeInboundSecret({ workspaceId: id }, secret)
    })
  }

  /** The last `maxBytes` of a workspace's console. Throws `console_unavailable` for external ones. */
  async readConsole(row: WorkspaceRow, maxBytes: number): Promise<string> {
    if (isExternal(row.runtimeKind)) throw new AppError('console_unavailable')
    return this.#deps.provisioner.readConsole({ workspaceId: row.id }, maxBytes)
  }

  /** Ends runs in progress, stops every box and says so in the rows. Idempotent. */
  async stop(): Promise<void> {
    if (this.#shutdown.signal.aborted) return
    this.#shutdown.abort(new Error('platform is shutting down'))
    await this.#tracker.drain()
    await this.#deps.provisioner.close()
    if (this.#hasBackEnd) await this.#markStopped()
  }

  async #markStopped(): Promise<void> {
    const { db, clock } = this.#deps
    for (const row of await listLiveWorkspaces(db)) {
      if (!isManaged(row)) continue
      await transitionWorkspace(db, {
        id: workspaceIdSchema.parse(row.id),
        to: 'offline',
        from: ['provisioning', 'online', 'degraded'],
        generation: row.generation,
        now: clock.now(),
        set: { statusReason: 'platform stopped', endpointUrl: null, activeTasks: 0 },
      })
    }
  }
}

/** Created, but the platform ended before its first start began. */
function isUnstarted(row: WorkspaceRow): boolean {
  return row.status === 'provisioning' && row.generation === 0 && !isExternal(row.runtimeKind)
}

function confirmationRequired(
  children: readonly { readonly id: string; readonly name: string }[],
): AppError {
  return new AppError('confirmation_required', {
    extensions: {
      status: 'confirmation_required',
      message: 'workspace has children; repeat with ?confirm=true to delete them too',
      children: children.map(({ id, name }) => ({ id, name })),
      children_count: children.length,
    },
  })
}
