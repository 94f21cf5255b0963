import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConnectState } from '../../../apps/cli/src/connect/connect-state.ts'
import { temporaryFolder } from './cli-harness.ts'

const IDENTITY = { platform: 'http://127.0.0.1:1/', workspaceId: randomUUID() }

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(() => folder.remove())

const open = () => ConnectState.open(folder.path, IDENTITY)

function rowsOf(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    id: randomUUID(),
    at: new Date(index * 1000).toISOString(),
  }))
}

/** Each of these was received, answered and sent. */
async function finish(state: ConnectState, rows: ReturnType<typeof rowsOf>): Promise<void> {
  await Promise.all(rows.map((row) => state.sent(row.id)))
}

describe('what connect remembers', () => {
  it('is every message that was finished while an earlier one was not', async () => {
    const [slow, ...later] = rowsOf(1_500)
    if (slow === undefined) throw new Error('no row')
    const first = await open()
    for (const row of [slow, ...later]) first.fetched(row)
    await finish(first, later)
    expect(first.cursor).toBeNull()

    const second = await open()
    expect(second.fetched(slow)).toBe(true)
    // Told of the first ones only when the slow one is finished as well.
    for (const row of later.slice(0, 10)) expect(second.fetched(row)).toBe(false)
    await finish(second, [slow])
    expect(second.cursor).toEqual(later[9])
    for (const row of later.slice(10)) expect(second.fetched(row)).toBe(false)
    expect(second.cursor).toEqual(later.at(-1))
  })

  it('is bounded once everything before is finished', async () => {
    const rows = rowsOf(1_500)
    const state = await open()
    for (const row of rows) state.fetched(row)
    await finish(state, rows)
    await state.restartAt(null)
    const known = rows.filter((row) => !state.fetched(row))
    expect(known).toEqual(rows.slice(-1_000))
  })
})
