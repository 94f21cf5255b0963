/**
 * @module Rows of the activity log that arrive at the same time, written together: each takes its
 * workspace's lock, and one after the other they would keep every message to it waiting.
 */
import { type Appended, appendActivities, type NewActivity } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import { isContentRefused } from '../db/db-error.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { GroupCommit } from './group-commit.ts'

/** Bounds of what waits for one workspace's lock; a body is at most that of an answer. */
const GROUPS = {
  maxGroupItems: 100,
  maxGroupBytes: 8 * 1024 * 1024,
  maxWaitingItems: 2_000,
  maxWaitingBytes: 64 * 1024 * 1024,
  maxWaitMs: 30_000,
  // A row that cannot be stored is not the end of those that were written with it.
  isOneToBlame: isContentRefused,
  // Hardly anybody waits for a row of the log, and each group takes the workspace's lock.
  restMs: 10,
}
/** What a row holds besides its bodies, roughly. */
const BASE_BYTES = 1_024

type Group = { readonly commit: GroupCommit<NewActivity, Appended>; waiting: number }

export class ActivityAppends {
  readonly #db: Db
  /** A workspace has one while something of it is being written, and while that one rests. */
  readonly #groups = new Map<WorkspaceId, Group>()

  constructor(db: Db) {
    this.#db = db
  }

  /** Like `appendActivity`. Throws `platform_unavailable` when too much waits already. */
  async append(activity: NewActivity): Promise<Appended> {
    const { workspaceId } = activity
    const group = this.#groups.get(workspaceId) ?? {
      commit: this.#commitFor(workspaceId),
      waiting: 0,
    }
    this.#groups.set(workspaceId, group)
    group.waiting += 1
    try {
      return await group.commit.submit(activity)
    } finally {
      group.waiting -= 1
      if (group.waiting === 0) this.#letGo(workspaceId, group)
    }
  }

  #letGo(workspaceId: WorkspaceId, group: Group): void {
    void group.commit.drain().then(() => {
      const isOver = group.waiting === 0 && this.#groups.get(workspaceId) === group
      if (isOver) this.#groups.delete(workspaceId)
    })
  }

  #commitFor(workspaceId: WorkspaceId): GroupCommit<NewActivity, Appended> {
    return new GroupCommit({
      ...GROUPS,
      run: (activities) => appendActivities(this.#db, workspaceId, activities),
      sizeOf: ({ requestBody, responseBody }) =>
        BASE_BYTES + sizeOf(requestBody) + sizeOf(responseBody),
    })
  }
}

function sizeOf(body: unknown): number {
  return body == null ? 0 : JSON.stringify(body).length
}
