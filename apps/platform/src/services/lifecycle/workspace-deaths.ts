/**
 * @module A box died: the row follows, and the restart budget decides what comes next. Death needs
 * two kinds of evidence; what the back-end cannot say counts as alive (contract/platform 7.4).
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { Db } from '../../db/client.ts'
import { loggableDatabaseError } from '../../db/db-error.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import { isHostAlive } from '../../db/replica-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import { lockLiveWorkspace, recordDeaths, transitionWorkspace } from '../../db/workspace-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { isBoxUp } from '../../domain/lifecycle-goal.ts'
import { judgeDeath } from '../../domain/restart-budget.ts'
import { isManaged } from '../../domain/workspace-endpoint.ts'
import type { Provisioner } from '../../provisioners/provisioner.ts'

export type DeathDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly provisioner: Provisioner
  readonly restartDelayMs: number
}

export type Death = {
  readonly id: WorkspaceId
  readonly generation: number
  /** For people: `exit code 1`. */
  readonly reason: string
  /** Only of the box that came up then: one that makes room for the next start has not died. */
  readonly boxStartedAt?: Date | null
}

/**
 * Writes a death down and asks for the restart, or gives up, in one transaction. False when it is
 * old news: the workspace was started anew, suspended or removed meanwhile.
 */
export async function recordDeath(deps: DeathDeps, death: Death): Promise<boolean> {
  const { db, clock, log, provisioner } = deps
  const { id, generation, boxStartedAt } = death
  return db.transaction(async (tx) => {
    const now = clock.now()
    const row = await lockLiveWorkspace(tx, id)
    if (row?.generation !== generation) return false
    if (boxStartedAt !== undefined && row.boxStartedAt?.getTime() !== boxStartedAt?.getTime()) {
      return false
    }
    const set = {
      statusReason: `runtime ended: ${death.reason}`,
      endpointUrl: null,
      activeTasks: 0,
    }
    if (
      (await transitionWorkspace(tx, { id, to: 'offline', generation, now, set })) === undefined
    ) {
      return false
    }
    const { verdict, deaths } = judgeDeath(
      row.deaths.map((at) => at.getTime()),
      now.getTime(),
      deps.restartDelayMs,
    )
    await recordDeaths(tx, { id, deaths: deaths.map((at) => new Date(at)) })
    log.warn(
      { workspace_id: id, reason: death.reason, verdict: verdict.kind },
      'lifecycle.box_died',
    )
    const hostId = row.hostId ?? provisioner.hostId
    if (verdict.kind === 'give_up') {
      const statusReason = `runtime ended ${verdict.deaths} times within 10 minutes, last: ${death.reason}; see its console output`
      await transitionWorkspace(tx, { id, to: 'failed', generation, now, set: { statusReason } })
      await requestRun(tx, { workspaceId: id, hostId, reason: 'gave up', now })
      return true
    }
    const { delayMs } = verdict
    const reason = `runtime ended: ${death.reason}`
    await requestRun(tx, { workspaceId: id, hostId, reason, now, delayMs })
    return true
  })
}

export type Opinion = 'alive' | 'dead'

/** Second opinions: one question per workspace at a time, however many requests fail at once. */
export class BackEndOpinion {
  readonly #deps: DeathDeps
  readonly #asked = new Map<string, Promise<Opinion>>()

  constructor(deps: DeathDeps) {
    this.#deps = deps
  }

  /** What the back-end says of the box. `alive` also when it cannot be asked. */
  ask(row: WorkspaceRow): Promise<Opinion> {
    const key = `${row.id}:${row.generation}`
    const asked = this.#asked.get(key) ?? this.#askOnce(row).finally(() => this.#asked.delete(key))
    this.#asked.set(key, asked)
    return asked
  }

  async #askOnce(row: WorkspaceRow): Promise<Opinion> {
    const { provisioner, log } = this.#deps
    if (!isManaged(row) || !isBoxUp(row)) return 'alive'
    try {
      if (row.hostId !== null && row.hostId !== provisioner.hostId) return await this.#askHost(row)
      if (row.backEnd !== provisioner.name) return 'alive'
      const box = { workspaceId: row.id, instanceId: row.instanceId }
      return (await provisioner.isRunning(box)) ? 'alive' : 'dead'
    } catch (error) {
      log.warn({ err: loggableDatabaseError(error), workspace_id: row.id }, 'lifecycle.no_opinion')
      return 'alive'
    }
  }

  /** Boxes of a machine end with the platform that holds them; nobody else can look at them. */
  async #askHost(row: WorkspaceRow): Promise<Opinion> {
    const { db, clock } = this.#deps
    if (row.hostId === null) return 'alive'
    return (await isHostAlive(db, { hostId: row.hostId, now: clock.now() })) ? 'alive' : 'dead'
  }
}
