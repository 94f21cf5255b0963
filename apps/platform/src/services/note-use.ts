/**
 * @module That a workspace is used by a file that moves. Messages to it say so with the row they leave
 * (`appendActivity`), its own with `OutboundNotes`; a beat of an idle agent says nothing (W19).
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { recordUse } from '../db/workspace-store.ts'
import { workspaceIdSchema } from '../domain/ids.ts'
import type { Workspace } from './find-workspace.ts'
import type { TaskTracker } from './task-tracker.ts'

export type NoteUseDeps = { readonly db: Db; readonly clock: Clock; readonly tracker: TaskTracker }

/** Idleness is counted in minutes: a download is not worth a write more often than this. */
const RESOLUTION_MS = 30_000

/** In the background, and not again within half a minute of what the row says. */
export function noteUse(deps: NoteUseDeps, row: Workspace): void {
  const now = deps.clock.now()
  if (now.getTime() - (row.lastActivityAt?.getTime() ?? 0) < RESOLUTION_MS) return
  const id = workspaceIdSchema.parse(row.id)
  deps.tracker.run(() => recordUse(deps.db, { id, now }))
}
