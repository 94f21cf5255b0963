import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import {
  appendEvent,
  assignSequence,
  EVENT_HINT_CHANNEL,
  isResumable,
  purgeEvents,
  readEventsAfter,
  readHead,
  readLatestEvents,
} from '../../../apps/platform/src/db/event-store.ts'
import {
  insertWorkspace,
  insertWorkspaceIfAbsent,
  transitionWorkspace,
} from '../../../apps/platform/src/db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import type { WorkspaceStatus } from '../../../apps/platform/src/domain/workspace-status.ts'
import { eventually } from '../../support/eventually.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { newWorkspaceRow } from '../../support/workspace-row.ts'

let database: TestDatabase
let client: DatabaseClient
const now = new Date('2026-11-21T00:00:00Z')
const DAY_MS = 24 * 60 * 60 * 1000

beforeEach(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 8 })
})
afterEach(async () => {
  await client.close()
  await database.drop()
})

function newId(): WorkspaceId {
  return workspaceIdSchema.parse(crypto.randomUUID())
}

const rowOf = (id: WorkspaceId, status: WorkspaceStatus) => newWorkspaceRow(id, status, now)

async function tell(workspaceId: WorkspaceId, at = now, db = client.db): Promise<void> {
  const event = { type: 'AGENT_CARD_UPDATED', payload: {} } as const
  await appendEvent(db, { event, workspaceId, now: at })
}

/** Everything there is after `after`, as name and payload. */
async function told(after = 0): Promise<unknown[]> {
  await assignSequence(client.db, 1000)
  const events = await readEventsAfter(client.db, { after, limit: 1000 })
  return events.map(({ type, payload }) => [type, payload])
}

describe('a status and its event', () => {
  it('are written together, the reason or what the move says standing in it', async () => {
    const id = newId()
    await insertWorkspace(client.db, rowOf(id, 'provisioning'))
    const event = { recovered_from: 'provisioning' }
    await transitionWorkspace(client.db, { id, to: 'online', now, event })
    const set = { statusReason: 'runtime ended' }
    await transitionWorkspace(client.db, { id, to: 'offline', now, set })
    expect(await told()).toEqual([
      ['WORKSPACE_PROVISIONING', {}],
      ['WORKSPACE_ONLINE', { recovered_from: 'provisioning' }],
      ['WORKSPACE_OFFLINE', { reason: 'runtime ended' }],
    ])
  })

  it('are undone together', async () => {
    const id = newId()
    await insertWorkspace(client.db, rowOf(id, 'online'))
    const undone = client.db.transaction(async (tx) => {
      expect(await transitionWorkspace(tx, { id, to: 'offline', now })).toBeDefined()
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    expect(await told()).toEqual([['WORKSPACE_ONLINE', {}]])
  })

  it('of a refused or repeated move are not written', async () => {
    const id = newId()
    await insertWorkspace(client.db, rowOf(id, 'provisioning'))
    await insertWorkspaceIfAbsent(client.db, rowOf(id, 'provisioning'))
    await transitionWorkspace(client.db, { id, to: 'hibernated', now })
    await transitionWorkspace(client.db, { id, to: 'online', generation: 7, now })
    const again = await transitionWorkspace(client.db, {
      id,
      to: 'provisioning',
      now,
      set: { raiseGeneration: true },
    })
    expect(again?.generation).toBe(1)
    expect(await told()).toEqual([['WORKSPACE_PROVISIONING', {}]])
  })

  it('tell the same story when many move at once', async () => {
    const id = newId()
    await insertWorkspace(client.db, rowOf(id, 'offline'))
    const flip = async (to: 'online' | 'offline'): Promise<number> => {
      let moves = 0
      for (let round = 0; round < 25; round += 1) {
        if (await transitionWorkspace(client.db, { id, to, now })) moves += 1
      }
      return moves
    }
    const moves = await Promise.all([flip('online'), flip('offline'), flip('online')])
    const names = (await told()).map((event) => (event as string[])[0])
    expect(names.length).toBe(1 + moves.reduce((sum, count) => sum + count, 0))
    const alternating = names.map((_, at) => `WORKSPACE_${at % 2 === 0 ? 'OFFLINE' : 'ONLINE'}`)
    expect(names).toEqual(alternating)
  })

  it('survive what jsonb cannot hold', async () => {
    const id = newId()
    await insertWorkspace(client.db, rowOf(id, 'online'))
    const event = { sample_error: 'a\0b\uD800', nested: ['\0'] }
    await transitionWorkspace(client.db, { id, to: 'degraded', now, event })
    expect((await told())[1]).toEqual([
      'WORKSPACE_DEGRADED',
      { sample_error: 'a\uFFFDb\uFFFD', nested: ['\uFFFD'] },
    ])
  })

  it('wake a listener at the commit', async () => {
    let hints = 0
    const listening = await database.sql.listen(EVENT_HINT_CHANNEL, () => {
      hints += 1
    })
    await client.db.transaction(async (tx) => {
      await tell(newId(), now, tx)
      await client.sql`SELECT 1`
      expect(hints).toBe(0)
    })
    await eventually(() => hints === 1)
    await listening.unlisten()
  })
})

describe('the order of reading', () => {
  it('is the order of commits: a transaction that took long is not skipped', async () => {
    const [early, late] = [newId(), newId()]
    let atCommit: number | undefined
    await client.db.transaction(async (tx) => {
      await tell(early, now, tx)
      await tell(late)
      await assignSequence(client.db, 100)
      atCommit = await readHead(client.db)
    })
    expect(atCommit).toBe(1)
    await assignSequence(client.db, 100)
    const events = await readEventsAfter(client.db, { after: 0, limit: 100 })
    expect(events.map(({ seq, workspaceId }) => [seq, workspaceId])).toEqual([
      [1, late],
      [2, early],
    ])
  })

  it('waits for who gives places at the same time', async () => {
    const [first, second] = [newId(), newId()]
    await tell(first)
    let isSecondDone = false
    let giving: Promise<unknown> = Promise.resolve()
    await client.db.transaction(async (tx) => {
      await assignSequence(tx, 100)
      await tell(second)
      giving = assignSequence(client.db, 100).then(() => {
        isSecondDone = true
      })
      await eventually(async () => {
        const waiting = await database.sql`
          SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
        return waiting.length > 0 || isSecondDone
      })
      // The second place must not be seen while the first is not.
      expect(await readHead(client.db)).toBe(0)
    })
    await giving
    const events = await readEventsAfter(client.db, { after: 0, limit: 100 })
    expect(events.map((event) => event.workspaceId)).toEqual([first, second])
  })

  it('gives a reader every event once, whoever sequences meanwhile', async () => {
    const ids = Array.from({ length: 120 }, newId)
    const writers = Promise.all(
      [0, 1, 2].map(async (writer) => {
        for (const id of ids.filter((_, at) => at % 3 === writer)) {
          await client.db.transaction(async (tx) => {
            await tell(id, now, tx)
            await tx.execute('SELECT pg_sleep(random() * 0.01)')
          })
        }
      }),
    )
    const read: (string | null)[] = []
    let cursor = 0
    const reader = eventually(async () => {
      const given = await Promise.all([assignSequence(client.db, 5), assignSequence(client.db, 5)])
      const page = await readEventsAfter(client.db, { after: cursor, limit: 1000 })
      read.push(...page.map((event) => event.workspaceId))
      cursor = page.at(-1)?.seq ?? cursor
      return given.every((count) => count === 0) && read.length >= ids.length
    })
    await Promise.all([writers, reader])
    expect(read.toSorted()).toEqual(ids.toSorted())
  })

  it('is of one workspace where one is asked for', async () => {
    const [mine, other] = [newId(), newId()]
    for (const id of [mine, other, mine]) await tell(id)
    await assignSequence(client.db, 100)
    const page = { limit: 10, workspaceId: mine }
    const seqs = (events: { readonly seq: number }[]) => events.map(({ seq }) => seq)
    expect(seqs(await readEventsAfter(client.db, { ...page, after: 0 }))).toEqual([1, 3])
    expect(seqs(await readEventsAfter(client.db, { ...page, after: 1 }))).toEqual([3])
    expect(seqs(await readLatestEvents(client.db, page))).toEqual([3, 1])
    expect(seqs(await readLatestEvents(client.db, { limit: 2 }))).toEqual([3, 2])
  })
})

describe('retention', () => {
  it('takes whole beginnings, so many at once, and never the newest', async () => {
    const ages = [40, 40, 10, 40, 40]
    for (const days of ages) await tell(newId(), new Date(now.getTime() - days * DAY_MS))
    await assignSequence(client.db, 100)
    const before = new Date(now.getTime() - 30 * DAY_MS)
    expect(await isResumable(client.db, 0)).toBe(true)
    expect(await purgeEvents(client.db, { before, limit: 1 })).toBe(1)
    expect(await isResumable(client.db, 0)).toBe(false)
    expect(await isResumable(client.db, 1)).toBe(false)
    expect(await purgeEvents(client.db, { before, limit: 10 })).toBe(1)
    // The third is young; a clock that was behind does not open a gap after it.
    expect(await purgeEvents(client.db, { before, limit: 10 })).toBe(0)
    expect(await isResumable(client.db, 3)).toBe(true)
    expect(await purgeEvents(client.db, { before: now, limit: 10 })).toBe(2)
    expect(await isResumable(client.db, 5)).toBe(true)
    expect(await isResumable(client.db, 6)).toBe(false)
  })

  it('keeps an empty beginning resumable', async () => {
    expect(await isResumable(client.db, 0)).toBe(true)
    expect(await isResumable(client.db, 1)).toBe(false)
  })
})
