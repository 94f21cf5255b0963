/**
 * Who polls loses nothing and sees nothing twice, on whichever replica and by whichever means, while
 * writers commit in another order than they began in and share their moments.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appendActivity } from '../../../apps/platform/src/db/activity-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import type { ActivityJson } from '../../support/external-workspace.ts'
import {
  type PlatformHarness,
  startPlatformHarness,
  startReplicaOf,
} from '../../support/platform-harness.ts'

const WRITERS = 8
const ROWS_EACH = 15
const ROWS = WRITERS * ROWS_EACH

let first: PlatformHarness
let second: PlatformHarness
let workspace: { readonly id: string; readonly token: string }

beforeAll(async () => {
  first = await startPlatformHarness()
  second = await startReplicaOf(first)
  const answer = await first.json('/workspaces', { name: 'laptop', external: true })
  const { id, connection } = (await answer.json()) as {
    id: string
    connection: { auth_token: string }
  }
  workspace = { id, token: connection.auth_token }
})
afterAll(async () => {
  await second.stop()
  await first.stop()
})

/** Every row belongs to one of three moments, later ones first, and is committed a little later. */
async function write(writer: number): Promise<void> {
  const { db, ids, clock } = (writer % 2 === 0 ? first : second).deps
  for (let index = 0; index < ROWS_EACH; index += 1) {
    const createdAt = new Date(Date.UTC(2026, 0, 1, 0, 0, (writer + index) % 3))
    await db.transaction(async (tx) => {
      await appendActivity(tx, {
        id: ids.uuid(),
        workspaceId: workspaceIdSchema.parse(workspace.id),
        activityType: 'agent_log',
        sourceId: null,
        targetId: null,
        method: null,
        summary: `${writer}:${index}`,
        requestBody: null,
        responseBody: null,
        durationMs: null,
        status: 'ok',
        errorDetail: null,
        createdAt,
      })
      await clock.sleep((writer * 7 + index * 3) % 6)
    })
  }
}

type Reader = (hasEnded: () => boolean) => Promise<readonly (string | null)[]>

async function read(on: PlatformHarness, query: string): Promise<ActivityJson[]> {
  const path = `/workspaces/${workspace.id}/activity?${query}`
  const answer = await on.request(path, { as: workspace.token })
  expect(answer.status).toBe(200)
  return (await answer.json()) as ActivityJson[]
}

/** Reads on, page by page, on one replica and then on the other, until nothing comes any more. */
const poll = (more: string): Reader =>
  async function readOn(hasEnded) {
    const seen: (string | null)[] = []
    let cursor = 'from=start'
    for (let [turn, isLast] = [0, false]; !isLast; turn += 1) {
      const isEnd = hasEnded()
      const rows = await read(turn % 2 === 0 ? first : second, `${cursor}&${more}`)
      seen.push(...rows.map(({ summary }) => summary))
      cursor = rows.length === 0 ? cursor : `since_id=${rows.at(-1)?.id}`
      isLast = isEnd && rows.length === 0
      if (rows.length === 0) await first.deps.clock.sleep(5)
    }
    return seen
  }

/** Keeps no place itself: says what it has on one replica, and asks for the rest on the other. */
const acknowledge: Reader = async (hasEnded) => {
  const seen: (string | null)[] = []
  for (let [turn, isLast] = [0, false]; !isLast; turn += 1) {
    const isEnd = hasEnded()
    const [here, there] = turn % 2 === 0 ? [first, second] : [second, first]
    const rows = await read(here, 'since_id=@torture&limit=9&wait=1')
    seen.push(...rows.map(({ summary }) => summary))
    isLast = isEnd && rows.length === 0
    if (rows.length === 0) continue
    const done = { cursor: 'torture', id: rows.at(-1)?.id }
    const answer = await there.json(
      `/workspaces/${workspace.id}/activity/ack`,
      done,
      workspace.token,
    )
    expect(answer.status).toBe(200)
  }
  return seen
}

/** Follows a stream, leaves it in the middle, and resumes it on the other replica. */
const follow: Reader = async () => {
  const seen: (string | null)[] = []
  let lastEventId: string | undefined
  for (let turn = 0; seen.length < ROWS; turn += 1) {
    const client = await openEventStream({
      url: `${(turn % 2 === 0 ? second : first).url}/workspaces/${workspace.id}/activity?from=start`,
      bearer: workspace.token,
      lastEventId,
    })
    const told = () => client.frames.filter(({ data }) => data !== undefined)
    await eventually(() => told().length >= Math.min(20, ROWS - seen.length))
    client.close()
    seen.push(...told().map(({ data }) => (data as ActivityJson).summary))
    lastEventId = told().at(-1)?.id
  }
  return seen
}

/** How one would go on after the time of the last row; ends when the writers have. */
async function pollByTime(hasEnded: () => boolean): Promise<number> {
  const { sql } = first.database
  let [seen, after] = [0, '2025-01-01']
  for (let isLast = false; !isLast; ) {
    isLast = hasEnded()
    const rows = await sql<{ at: string }[]>`
      SELECT created_at::text AS at FROM activity_logs
       WHERE workspace_id = ${workspace.id} AND created_at > ${after}::timestamptz
       ORDER BY created_at LIMIT 7`
    seen += rows.length
    after = rows.at(-1)?.at ?? after
    await first.deps.clock.sleep(5)
  }
  return seen
}

describe('eight writers that commit out of order and share their moments', () => {
  it('are read once each by everybody who reads, and not by who goes by the time', async () => {
    let hasEnded = false
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, n) => write(n))).finally(() => {
      hasEnded = true
    })
    const isOver = (): boolean => hasEnded
    const byTime = pollByTime(isOver)
    const readers = [poll('limit=7'), poll('limit=13&wait=1'), acknowledge, follow]
    const seen = await Promise.all(readers.map((reader) => reader(isOver)))
    await writing
    for (const each of seen) {
      expect(each).toHaveLength(ROWS)
      expect(new Set(each).size).toBe(ROWS)
    }
    // All of them in the same order, which is that of the commits.
    for (const each of seen) expect(each).toEqual(seen[0])
    expect(await byTime).toBeLessThan(ROWS)
  })
})
