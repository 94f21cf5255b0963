/**
 * @module The only place that starts, stops and removes workspaces, and the only importer of
 * `provisioners/` beside the wiring (H3). What is asked for is written down with the status in one
 * transaction, and done by whichever replica takes the run (`lifecycle-runner.ts`).
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import { noteDelivery } from '../db/inbound-secret-store.ts'
import { type Claim, listRuns, releaseHostRuns, requestRun } from '../db/lifecycle-run-store.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import {
  findLiveWorkspace,
  findWorkspace,
  listLiveWorkspaces,
  transitionWorkspace,
} from '../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { lifecycleGoal } from '../domain/lifecycle-goal.ts'
import { isExternal } from '../domain/runtime-kind.ts'
import { isManaged } from '../domain/workspace-endpoint.ts'
import type { UnexpectedExit } from '../provisioners/provisioner.ts'
import { sweepBoxes } from './lifecycle/box-sweep.ts'
import { LifecycleRunner, type LifecycleTimings } from './lifecycle/lifecycle-runner.ts'
import type { ProvisionDeps } from './lifecycle/provision-workspace.ts'
import { reconcileWorkspace } from './lifecycle/reconcile-workspace.ts'
import { markTreeRemoved } from './lifecycle/remove-tree-of-workspaces.ts'
import { type FailedStart, reportFailedStart } from './lifecycle/report-failed-start.ts'
import { type RestartOptions, restartTemplate } from './lifecycle/restart-template.ts'
import {
  hibernateWorkspace,
  pauseTree,
  restartWorkspace,
  resumeTree,
  wakeWorkspace,
} from './lifecycle/suspend-workspace.ts'
import { BackEndOpinion, type Opinion, recordDeath } from './lifecycle/workspace-deaths.ts'
import { outlastOutage } from './outlast-outage.ts'
import type { PassResult } from './sweeps/sweep.ts'
import { ensureInboundSecret } from './workspace-credentials.ts'

export type LifecycleDeps = ProvisionDeps & {
  readonly replicaId: string
  readonly timings: LifecycleTimings
  readonly restartDelayMs: number
}

const VOLUME_STAYS: RestartOptions = Object.freeze({
  template: undefined,
  isTemplateWanted: false,
  isRebuildWanted: false,
})

export type Removal = { readonly status: 'removed' | 'purged'; readonly cascadeDeleted: number }

/** How long a removal waits for its boxes; the runs go on without it (contract/platform 7.7). */
const REMOVAL_PATIENCE_MS = 30_000
const REMOVAL_POLL_MS = 50

export class WorkspaceLifecycle {
  readonly #deps: LifecycleDeps
  readonly #runner: LifecycleRunner
  readonly #opinion: BackEndOpinion
  /** Until then the rows may be about the boxes of another platform, which holds the back-end. */
  #hasBackEnd = false

  constructor(deps: LifecycleDeps) {
    this.#deps = deps
    this.#opinion = new BackEndOpinion(deps)
    this.#runner = new LifecycleRunner({
      ...deps,
      hostId: () => deps.provisioner.hostId,
      execute: (run) => reconcileWorkspace(deps, run),
      isStillWanted: (claim) => this.#isStillWanted(claim),
    })
  }

  /** Opens the back-end, asks for whatever ran here when the platform last stopped, takes runs. */
  async start(): Promise<void> {
    const { provisioner } = this.#deps
    provisioner.onUnexpectedExit((exit) => this.#runner.track(() => this.#onExit(exit)))
    await provisioner.open()
    this.#hasBackEnd = true
    if (provisioner.hostId !== null) await this.#resumeHost(provisioner.hostId)
    this.#runner.start()
  }

  /** The boxes of this machine ended with the platform that held them. */
  async #resumeHost(hostId: string): Promise<void> {
    const { db, clock, log, provisioner } = this.#deps
    await releaseHostRuns(db, hostId)
    const rows = (await listLiveWorkspaces(db)).filter(
      (row) =>
        RESUMABLE.has(row.status) &&
        isManaged(row) &&
        row.backEnd === provisioner.name &&
        (row.hostId ?? hostId) === hostId,
    )
    if (rows.length > 0) log.info({ count: rows.length }, 'lifecycle.resuming')
    for (const row of rows) {
      const id = workspaceIdSchema.parse(row.id)
      await db.transaction(async (tx) => {
        const now = clock.now()
        const set = { endpointUrl: null, activeTasks: 0, boxStartedAt: null }
        await transitionWorkspace(tx, { id, to: 'provisioning', from: [row.status], now, set })
        await requestRun(tx, { workspaceId: id, hostId, reason: 'platform started', now })
      })
    }
  }

  /** Whether what a run in progress does is still what its row asks for. */
  async #isStillWanted(claim: Claim): Promise<boolean> {
    const row = await findWorkspace(this.#deps.db, claim.workspaceId)
    return row !== undefined && lifecycleGoal(row) === 'start'
  }

  /**
   * Asks for a run within the transaction that changes the row; `wake` afterwards makes it begin at
   * once. For those who create rows (`create-workspace.ts`, expansion).
   */
  async request(
    tx: Db,
    input: { readonly id: WorkspaceId; readonly reason: string },
  ): Promise<void> {
    const { clock } = this.#deps
    await requestRun(tx, {
      workspaceId: input.id,
      hostId: null,
      reason: input.reason,
      now: clock.now(),
    })
  }

  /** Work has been asked for and committed: no need to wait for the next look. */
  kick(id?: WorkspaceId): void {
    this.#runner.kick(id)
  }

  /** A box ended by itself: the provisioner's own word, so the row follows it (contract 7.3). */
  async #onExit(exit: UnexpectedExit): Promise<void> {
    const id = workspaceIdSchema.parse(exit.workspaceId)
    const { generation, reason } = exit
    await outlastOutage(this.#deps, this.#runner.signal, () =>
      recordDeath(this.#deps, { id, generation, reason }),
    )
    this.#runner.kick(id)
  }

  /**
   * A request could not reach the workspace, or its beats have stopped: one kind of evidence. The
   * back-end is asked for the other; only when both agree the workspace is dead, and restarted.
   * `alive` also for one that was suspended, removed or started anew meanwhile.
   */
  async judge(row: WorkspaceRow, evidence: string): Promise<Opinion> {
    const opinion = await this.#opinion.ask(row)
    if (opinion === 'alive') return 'alive'
    const id = workspaceIdSchema.parse(row.id)
    const { generation, boxStartedAt } = row
    const death = { id, generation, reason: evidence, boxStartedAt }
    if (!(await recordDeath(this.#deps, death))) return 'alive'
    this.#runner.kick(id)
    return 'dead'
  }

  /**
   * A request met nobody at the workspace's address: asks for the second opinion in the background,
   * while the caller is told. Busy is no such thing: only a connection that was refused or broke.
   */
  suspect(id: WorkspaceId): void {
    this.#runner.track(async () => {
      const row = await findLiveWorkspace(this.#deps.db, id)
      if (row !== undefined) await this.judge(row, 'unreachable')
    })
  }

  /** A control plane's word that a machine never came up; false when nothing is being started. */
  async reportFailedStart(id: WorkspaceId, report: FailedStart): Promise<boolean> {
    const isFailed = await reportFailedStart(this.#deps, id, report)
    this.#runner.kick(id)
    return isFailed
  }

  /**
   * Stop and start anew (contract/platform 7.6); resolves with the template whose files it gives
   * again, or undefined. Throws `workspace_not_found`, `invalid_template`, and what
   * `restartWorkspace` throws.
   */
  async restart(
    id: WorkspaceId,
    options: RestartOptions = VOLUME_STAYS,
  ): Promise<string | undefined> {
    const row = await findLiveWorkspace(this.#deps.db, id)
    if (row === undefined) throw new AppError('workspace_not_found')
    const template = await restartTemplate(this.#deps.templates, row, options)
    await restartWorkspace(this.#deps, id, template)
    this.#runner.kick(id)
    return template
  }

  /** Suspends a workspace with everything below it; resolves with how many. */
  async pause(id: WorkspaceId): Promise<number> {
    const paused = await pauseTree(this.#deps, id)
    for (const each of paused) this.#runner.kick(each)
    return paused.length
  }

  /** Brings a suspended workspace back with everything suspended below it. */
  async resume(id: WorkspaceId): Promise<number> {
    const resumed = await resumeTree(this.#deps, id)
    this.#runner.kick()
    return resumed.length
  }

  /** Ends an idle workspace's box until it is needed again. */
  async hibernate(id: WorkspaceId, options: { readonly isForced: boolean }): Promise<void> {
    await hibernateWorkspace(this.#deps, id, options)
    this.#runner.kick(id)
  }

  /** `hibernate` for one that was found idle; false when it has been given work since. */
  async hibernateIfIdle(row: WorkspaceRow): Promise<boolean> {
    const { lastActivityAt } = row
    const id = workspaceIdSchema.parse(row.id)
    try {
      await hibernateWorkspace(this.#deps, id, { isForced: false, lastActivityAt })
    } catch (error) {
      if (error instanceof AppError) return false
      throw error
    }
    this.#runner.kick(id)
    return true
  }

  /** Compares the boxes of the back-end with the rows (`lifecycle/box-sweep.ts`). */
  async sweepBoxes(signal: AbortSignal): Promise<PassResult> {
    const { provisioner } = this.#deps
    if (provisioner.name === 'none') return {}
    const judge = (row: WorkspaceRow, evidence: string) => this.judge(row, evidence)
    const result = await sweepBoxes(this.#deps, judge, signal)
    this.#runner.kick()
    return result
  }

  /** The machine whose boxes this replica holds, or null; for sweeps that every machine makes. */
  get hostId(): string | null {
    return this.#deps.provisioner.hostId
  }

  /** Brings a hibernated workspace back; false when it does not sleep. */
  async wake(id: WorkspaceId): Promise<boolean> {
    const isWoken = await wakeWorkspace(this.#deps, id)
    this.#runner.kick(id)
    return isWoken
  }

  /**
   * Removes a workspace with everything below it (contract/platform 7.7): rows first, then boxes
   * and volumes, then with `purge` the rows themselves. Safe to repeat; what it could not do goes on
   * being tried. Throws `workspace_not_found`, `confirmation_required`, `stop_failed`,
   * `shutting_down`.
   */
  async remove(
    id: WorkspaceId,
    options: { readonly isConfirmed: boolean; readonly isPurge: boolean },
  ): Promise<Removal> {
    const { ids, removedBelow } = await markTreeRemoved(this.#deps, id, options)
    for (const each of ids) this.#runner.kick(each)
    const failures = await this.#awaitRuns(ids)
    if (failures > 0) {
      throw new AppError('stop_failed', {
        extensions: { removed_count: ids.length, stop_failures: failures },
      })
    }
    // Rows that were removed before go only now.
    return options.isPurge
      ? { status: 'purged', cascadeDeleted: ids.length - 1 }
      : { status: 'removed', cascadeDeleted: removedBelow }
  }

  /** Resolves when these runs have ended, with how many have failed or take too long. */
  async #awaitRuns(ids: readonly WorkspaceId[]): Promise<number> {
    const { db, clock } = this.#deps
    const deadline = clock.now().getTime() + REMOVAL_PATIENCE_MS
    for (;;) {
      const waiting = await listRuns(db, ids)
      const failed = waiting.filter(({ lastError }) => lastError !== null)
      if (failed.length === waiting.length) return failed.length
      if (clock.now().getTime() >= deadline) return waiting.length
      // The runs are in the database: another replica, or the next platform, goes on with them.
      if (this.#runner.signal.aborted) throw new AppError('shutting_down')
      await clock.sleep(REMOVAL_POLL_MS)
    }
  }

  /**
   * Puts the current inbound secret into the workspace's box where its back-end can, so that a
   * fresh or drifted one need not wait for a heartbeat (contract/platform 13.18). Background.
   */
  deliverInboundSecret(id: WorkspaceId): void {
    this.#runner.track(async () => {
      const row = await findLiveWorkspace(this.#deps.db, id)
      if (row === undefined || row.boxGeneration === null || !this.#isHere(row)) return
      const { secret, envelope } = await ensureInboundSecret(this.#deps, row)
      const box = { workspaceId: row.id, instanceId: row.instanceId }
      if (!(await this.#deps.provisioner.writeInboundSecret(box, secret))) return
      const now = this.#deps.clock.now()
      await noteDelivery(this.#deps.db, { id, envelope, now, isBelieved: false })
    })
  }

  /** Whether this replica's back-end can reach the workspace's box. */
  #isHere(row: WorkspaceRow): boolean {
    const { provisioner } = this.#deps
    return (
      row.backEnd === provisioner.name && (row.hostId === null || row.hostId === provisioner.hostId)
    )
  }

  /**
   * The last `maxBytes` of a workspace's console. Throws `console_unavailable` for external ones and
   * for those on another machine.
   */
  async readConsole(row: WorkspaceRow, maxBytes: number): Promise<string> {
    if (isExternal(row.runtimeKind)) throw new AppError('console_unavailable')
    if (row.backEnd === null) return ''
    if (!this.#isHere(row)) {
      throw new AppError('console_unavailable', {
        message: 'console unavailable: another replica of this platform holds the workspace',
      })
    }
    const box = { workspaceId: row.id, instanceId: row.instanceId }
    return this.#deps.provisioner.readConsole(box, maxBytes)
  }

  /** Ends runs in progress, stops the boxes of this machine and says so in the rows. Idempotent. */
  async stop(): Promise<void> {
    if (this.#runner.signal.aborted) return
    await this.#runner.stop()
    await this.#deps.provisioner.close()
    if (!this.#hasBackEnd) return
    await this.#runner.release()
    if (this.#deps.provisioner.hostId !== null)
      await this.#markStopped(this.#deps.provisioner.hostId)
  }

  async #markStopped(hostId: string): Promise<void> {
    const { db, clock } = this.#deps
    for (const row of await listLiveWorkspaces(db)) {
      if (!isManaged(row) || row.hostId !== hostId) continue
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

/** Statuses in which a workspace that the platform ran is meant to be running. */
const RESUMABLE: ReadonlySet<string> = new Set(['provisioning', 'online', 'degraded', 'offline'])
