import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DeliveryBook } from '../../../apps/workspace-runtime/src/agent/deliveries/delivery-book.ts'
import {
  deliveryText,
  recordName,
} from '../../../apps/workspace-runtime/src/agent/deliveries/delivery-record.ts'
import { RecordFolder } from '../../../apps/workspace-runtime/src/agent/records/record-folder.ts'
import { eventually } from '../../support/eventually.ts'

const LIMITS = { maxRecords: 3, maxBytes: 100_000, maxAgeMs: 60_000, maxOutcomeBytes: 1_000 }
const log = pino({ level: 'silent' })

let directory: string
let now: Date

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'atrium-deliveries-'))
  now = new Date('2026-01-01T00:00:00Z')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function open(limits: Partial<typeof LIMITS> = {}) {
  const kind = { directory, maxRecordBytes: 50_000, maxRecords: 100 }
  const folder = new RecordFolder({ ...kind, isFsyncOn: false, log, ids: systemIds })
  const clock = { now: () => now }
  const book = new DeliveryBook({ folder, limits: { ...LIMITS, ...limits }, log, clock })
  return { book, interrupted: await book.open() }
}

const delivery = (deliveryId: string) => ({
  deliveryId,
  method: 'message/send',
  taskId: 't',
  contextId: 'c',
  hasTask: false,
  begunAt: now.toISOString(),
  hasEnded: false,
  outcome: undefined,
})

/** As the agent could, which can write there too. */
const leave = (record: Parameters<typeof deliveryText>[0]) =>
  writeFileSync(join(directory, `${recordName(record.deliveryId)}.json`), deliveryText(record))

const files = () => readdirSync(directory).length

describe('DeliveryBook', () => {
  it('forgets the oldest when there are too many, in memory and on the disk', async () => {
    const { book } = await open()
    for (const id of ['a', 'b', 'c', 'd']) await book.begin(delivery(id))
    expect(await book.find('a')).toBeUndefined()
    expect((await book.find('d'))?.deliveryId).toBe('d')
    await eventually(() => files() === 3)
  })

  it('forgets by size and by age as well, also what an earlier run has left', async () => {
    const { book } = await open({ maxBytes: 450 })
    for (const id of ['a', 'b', 'c']) {
      await book.begin(delivery(id))
      now = new Date(now.getTime() + 1_000)
    }
    await eventually(() => files() < 3)
    expect(await book.find('a')).toBeUndefined()
    now = new Date(now.getTime() + LIMITS.maxAgeMs)
    const later = await open()
    expect(await later.book.find('c')).toBeUndefined()
    await eventually(() => files() === 0)
  })

  it('tells what was begun and never ended, and keeps no answer that is too long', async () => {
    const { book } = await open()
    await book.begin(delivery('a'))
    await book.begin(delivery('b'))
    await book.end({ ...delivery('b'), hasEnded: true, outcome: { result: 'x'.repeat(2_000) } })
    const { book: again, interrupted } = await open()
    expect(interrupted.map(({ deliveryId }) => deliveryId)).toEqual(['a'])
    const ended = await again.find('b')
    expect([ended?.hasEnded, ended?.outcome]).toEqual([true, undefined])
  })

  it('holds no answer of what has none, whatever its record says', async () => {
    const outcome = { result: 'x'.repeat(2_000) }
    leave({ ...delivery('a'), outcome })
    const { interrupted } = await open()
    expect(interrupted).toEqual([delivery('a')])
  })

  it('sets an answer aside that nobody could print again', async () => {
    const result = JSON.parse(`${'['.repeat(3_000)}${']'.repeat(3_000)}`)
    leave({ ...delivery('a'), hasEnded: true, outcome: { result } })
    const { book } = await open()
    expect(await book.find('a')).toBeUndefined()
  })

  it('sets a delivery aside whose task would be a file elsewhere', async () => {
    leave({ ...delivery('a'), taskId: '../../elsewhere' })
    const { interrupted } = await open()
    expect(interrupted).toEqual([])
    expect(readdirSync(directory)).toEqual([`${recordName('a')}.json.broken`])
  })

  it('takes no delivery for another whose name its record has', async () => {
    writeFileSync(join(directory, `${recordName('b')}.json`), deliveryText(delivery('a')))
    const { book, interrupted } = await open()
    expect([interrupted, await book.find('b')]).toEqual([[], undefined])
  })
})
