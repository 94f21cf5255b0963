/** @module What happened lately, for people who look now and then. */
import type { Db } from '../db/client.ts'
import { placeWaitingEvents, readLatestEvents } from '../db/event-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ToldEvent } from '../domain/told-event.ts'

/** Contract/platform 1.1. */
const LIMIT = 100

/** The last 100 kept events, newest first: of all, or of one workspace, which may be gone by now. */
export async function listEvents(db: Db, workspaceId?: WorkspaceId): Promise<ToldEvent[]> {
  await placeWaitingEvents(db)
  return await readLatestEvents(db, { limit: LIMIT, workspaceId })
}
