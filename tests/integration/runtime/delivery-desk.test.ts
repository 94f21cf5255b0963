import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { A2ARequestHandler } from '@a2a-js/sdk/server'
import { methodTraits } from '@atrium/a2a-schema/method'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type A2aAnswer, jsonAnswer } from '../../../apps/workspace-runtime/src/agent/a2a-answer.ts'
import { DeliveryBook } from '../../../apps/workspace-runtime/src/agent/deliveries/delivery-book.ts'
import { DeliveryDesk } from '../../../apps/workspace-runtime/src/agent/deliveries/delivery-desk.ts'
import { DeliveryReplay } from '../../../apps/workspace-runtime/src/agent/deliveries/delivery-replay.ts'
import { RecordFolder } from '../../../apps/workspace-runtime/src/agent/records/record-folder.ts'
import { SdkDispatch } from '../../../apps/workspace-runtime/src/agent/sdk-dispatch.ts'

const LIMITS = {
  ...{ maxRecords: 9, maxBytes: 100_000, maxAgeMs: 60_000 },
  maxOutcomeBytes: 1_000,
}
const METHOD = 'message/stream'
const CALL = {
  request: { id: 7, method: METHOD, params: {}, envelope: {}, wasWrapped: false },
  traits: methodTraits(METHOD),
  requestId: 'r-1',
}
const TURN = { taskId: 't', contextId: 'c', hasTask: false }

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'atrium-desk-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A desk on what an earlier one has left, of an agent that keeps no task. */
async function openDesk(): Promise<DeliveryDesk> {
  const log = pino({ level: 'silent' })
  const kind = { directory, maxRecordBytes: 50_000, maxRecords: 100, isFsyncOn: false }
  const folder = new RecordFolder({ ...kind, log, ids: systemIds })
  const book = new DeliveryBook({ folder, limits: LIMITS, log, clock: systemClock })
  await book.open()
  // Nobody asks it for a task that there is not.
  const sdk = new SdkDispatch({} as unknown as A2ARequestHandler, log)
  const replay = new DeliveryReplay({ sdk, tasks: { load: async () => undefined } })
  return new DeliveryDesk({ book, replay, now: () => systemClock.now() })
}

async function toldBy(answer: A2aAnswer): Promise<unknown[]> {
  if (answer.kind === 'json') return [JSON.parse(answer.body)]
  const told: unknown[] = []
  for await (const envelope of answer.envelopes) told.push(JSON.parse(envelope))
  return told
}

const neverAgain = () => Promise.reject(new Error('begun again'))

describe('DeliveryDesk', () => {
  it('tells a message that was streamed again, also after a restart', async () => {
    const result = { kind: 'message', parts: [{ kind: 'text', text: 'once' }] }
    async function* envelopes() {
      yield JSON.stringify({ jsonrpc: '2.0', id: 7, result })
    }
    const first = await (await openDesk()).answer('d-1', CALL, async (claim) => {
      await claim?.begin(TURN)
      return { kind: 'stream', envelopes: envelopes() }
    })
    await toldBy(first)
    const again = await (await openDesk()).answer('d-1', CALL, neverAgain)
    expect(await toldBy(again)).toEqual([{ jsonrpc: '2.0', id: 7, result }])
  })

  it('lets a delivery come again that failed before it was begun', async () => {
    const desk = await openDesk()
    await expect(desk.answer('d-1', CALL, neverAgain)).rejects.toThrow('begun again')
    const answer = await desk.answer('d-1', CALL, async () => jsonAnswer('"done"'))
    expect(await toldBy(answer)).toEqual(['done'])
  })
})
