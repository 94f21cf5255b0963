/**
 * @module What the lifecycle says of a workspace that a message could not reach (contract/platform
 * 4.5): one question at a time for each, however many messages fail at once.
 */
import type { Db } from '../db/client.ts'
import { findLiveWorkspace } from '../db/workspace-store.ts'
import { workspaceIdSchema } from '../domain/ids.ts'
import { isManaged } from '../domain/workspace-endpoint.ts'
import type { Workspace } from './find-workspace.ts'
import type { Opinion } from './lifecycle/workspace-deaths.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

export type OpinionDeps = {
  readonly db: Db
  readonly lifecycle: Pick<WorkspaceLifecycle, 'judge'>
}

/** Statuses of a workspace that is being brought back, or is about to be. */
const RETURNING: ReadonlySet<string> = new Set(['offline', 'provisioning'])

export class SecondOpinions {
  readonly #deps: OpinionDeps
  readonly #asked = new Map<string, Promise<Opinion>>()

  constructor(deps: OpinionDeps) {
    this.#deps = deps
  }

  /** Of a dead one the restart has begun. `row` is what the failed request went by. */
  ask(row: Workspace): Promise<Opinion> {
    const key = `${row.id}:${row.generation}`
    const asked = this.#asked.get(key) ?? this.#ask(row).finally(() => this.#asked.delete(key))
    this.#asked.set(key, asked)
    return asked
  }

  async #ask(row: Workspace): Promise<Opinion> {
    if (!isManaged(row)) return 'alive'
    if ((await this.#deps.lifecycle.judge(row, 'unreachable')) === 'dead') return 'dead'
    // Somebody else may have found out before.
    const now = await findLiveWorkspace(this.#deps.db, workspaceIdSchema.parse(row.id))
    const isReturning = now?.generation !== row.generation || RETURNING.has(now.status)
    return now !== undefined && isReturning ? 'dead' : 'alive'
  }
}
