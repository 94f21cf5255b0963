/** What arrives together is written together, and a workspace that speaks much is noted once at a time. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '@atrium/http-kit/clock'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewActivity } from '../../../apps/platform/src/db/activity-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { ActivityAppends } from '../../../apps/platform/src/services/activity-appends.ts'
import { OutboundNotes } from '../../../apps/platform/src/services/outbound-notes.ts'
import { TaskTracker } from '../../../apps/platform/src/services/task-tracker.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let one: string
let other: string
beforeAll(async () => {
  one = (await platform.onlineWorkspace('http://127.0.0.1:9/')).id
  other = (await platform.onlineWorkspace('http://127.0.0.1:9/')).id
})
const trackers: TaskTracker[] = []
afterAll(async () => {
  await Promise.all(trackers.map((each) => each.drain()))
})

function activity(workspaceId: string, summary: string): NewActivity {
  return {
    ...{ id: randomUUID(), workspaceId: workspaceIdSchema.parse(workspaceId), summary },
    ...{ activityType: 'agent_log', status: 'ok', method: null, createdAt: new Date() },
    ...{ sourceId: null, targetId: null, requestBody: null, responseBody: null },
    ...{ durationMs: null, errorDetail: null },
  }
}

describe('rows of the activity log', () => {
  it('of one moment take one turn at the lock of their workspace, in their order', async () => {
    const appends = new ActivityAppends(platform.client.db)
    const texts = Array.from({ length: 60 }, (_, index) => `row ${index}`)
    const before = await rowVersion(one)
    const appended = await Promise.all([
      ...texts.map((text) => appends.append(activity(one, text))),
      ...texts.map((text) => appends.append(activity(other, text))),
    ])
    expect(new Set(appended)).toEqual(new Set(['appended']))
    for (const id of [one, other]) {
      const rows = await platform.client.sql`
        SELECT summary, seq FROM activity_logs
         WHERE workspace_id = ${id} AND activity_type = 'agent_log' ORDER BY seq`
      expect(rows.map(({ summary }) => summary)).toEqual(texts)
      const [first] = rows
      expect(rows.map(({ seq }) => Number(seq))).toEqual(
        texts.map((_, index) => Number(first?.['seq']) + index),
      )
    }
    // The first goes at once, all others together.
    expect((await rowVersion(one)) - before).toBe(2)
  })

  it('are written without the one among them that cannot be', async () => {
    const appends = new ActivityAppends(platform.client.db)
    const appended = await Promise.allSettled(
      ['a', 'b', 'c\u0000', 'd'].map((text) => appends.append(activity(one, text))),
    )
    expect(appended.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    ])
  })

  it('that follow soon after others wait for each other', async () => {
    const appends = new ActivityAppends(platform.client.db)
    const before = await rowVersion(one)
    await appends.append(activity(one, 'first'))
    await Promise.all(['second', 'third'].map((text) => appends.append(activity(one, text))))
    expect((await rowVersion(one)) - before).toBe(2)
  })

  it('of a workspace that is gone are absent, all of them', async () => {
    const appends = new ActivityAppends(platform.client.db)
    const gone = randomUUID()
    const appended = await Promise.all([1, 2, 3].map(() => appends.append(activity(gone, 'x'))))
    expect(appended).toEqual(['absent', 'absent', 'absent'])
  })
})

describe('a workspace that speaks much', () => {
  it('is noted once at a time, and the last time counts', async () => {
    const tracker = new TaskTracker((error) => {
      throw error
    })
    trackers.push(tracker)
    const notes = new OutboundNotes({ db: platform.client.db, clock: systemClock, tracker })
    const before = await rowVersion(one)
    const id = workspaceIdSchema.parse(one)
    for (let index = 0; index < 50; index += 1) notes.note(id)
    await tracker.drain()
    expect((await rowVersion(one)) - before).toBe(2)
  })

  it('is noted again a while after the last note, and then once', async () => {
    const tracker = new TaskTracker((error) => {
      throw error
    })
    const clock = new HeldClock()
    const notes = new OutboundNotes({ db: platform.client.db, clock, tracker })
    const before = await rowVersion(one)
    const id = workspaceIdSchema.parse(one)
    notes.note(id)
    await eventually(() => clock.sleepers === 1)
    for (let index = 0; index < 50; index += 1) notes.note(id)
    expect((await rowVersion(one)) - before).toBe(1)
    clock.advance(100)
    await eventually(() => clock.sleepers === 1)
    expect((await rowVersion(one)) - before).toBe(2)
    clock.advance(100)
    await tracker.drain()
    expect((await rowVersion(one)) - before).toBe(2)
  })
})

/** Transactions that have written the workspace's row so far: its place in their order. */
async function rowVersion(id: string): Promise<number> {
  const [row] = await platform.client.sql`
    SELECT version FROM activity_test_versions WHERE id = ${id}`
  return Number(row?.['version'] ?? 0)
}

beforeAll(async () => {
  await platform.client.sql.unsafe(`
    CREATE TABLE activity_test_versions (id uuid PRIMARY KEY, version integer NOT NULL);
    CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO activity_test_versions VALUES (NEW.id, 1)
        ON CONFLICT (id) DO UPDATE SET version = activity_test_versions.version + 1;
      RETURN NULL; END $$;
    CREATE TRIGGER count_version AFTER UPDATE ON workspaces
      FOR EACH ROW EXECUTE FUNCTION count_version();`)
})
