import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import type { Ids } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { OPERATOR, type Sender } from '../../domain/caller.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { type DeliverySource, newDelivery } from './new-delivery.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const DAY_MS = 86_400_000
const UUID = '00000000-0000-4000-8000-000000000001'
const ids: Ids = { uuid: () => UUID, hex: () => '', bearerValue: () => '' }
const deps = { clock: { now: () => new Date(NOW), sleep: () => Promise.resolve() }, ids }
const workspaceId = workspaceIdSchema.parse(UUID)
const said = { messageId: 'm1', role: 'user', parts: [] }

type Given = Partial<DeliverySource> & { readonly method?: string; readonly asKept?: JsonObject }

/** `asKept`: the parameters as the agent reads them, where they are not those that came. */
function deliveryOf(params: JsonObject, { method = 'message/send', asKept, ...given }: Given = {}) {
  const parsed = parsedOf(method, params)
  return newDelivery(deps, {
    ...{ workspaceId, sender: OPERATOR, bytes: Buffer.from('{}'), headers: {}, activityId: null },
    ...{ given: parsed, request: asKept === undefined ? parsed : parsedOf(method, asKept) },
    ...{ mode: 'push', key: undefined, isIdempotentAgent: false },
    ...given,
  })
}

function parsedOf(method: string, params: JsonObject) {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const parsed = parseRpcRequest(Buffer.from(text), ids)
  if (!parsed.ok) throw new Error(parsed.error.message)
  return parsed.request
}

const inMs = (date: Date | null) => date && date.getTime() - NOW

describe('the name of a message', () => {
  it('is its key for a day, whatever the message is called', () => {
    for (const key of ['k', 'k'.repeat(200)]) {
      const { key: name } = deliveryOf({ message: said }, { key })
      expect([name?.value, inMs(name?.expiresAt ?? null)]).toEqual([`key:${key}`, DAY_MS])
    }
  })

  it.each(['', 'k'.repeat(201)])('is refused as a key: %j', (key) => {
    expect(() => deliveryOf({ message: said }, { key })).toThrow(
      expect.objectContaining({ code: 'invalid_request_body' }),
    )
  })

  it('is the id that its sender chose, for ten minutes', () => {
    for (const messageId of ['m', 'm'.repeat(200)]) {
      const { key } = deliveryOf({ message: { ...said, messageId } })
      expect([key?.value, inMs(key?.expiresAt ?? null)]).toEqual([`message:${messageId}`, 600_000])
    }
  })

  it.each([
    ['too long', { ...said, messageId: 'm'.repeat(201) }],
    ['empty', { ...said, messageId: '' }],
    ['no text', { ...said, messageId: 5 }],
    ['made up here', { role: 'user', parts: [] }],
  ])('is no id that is %s', (_name, message) => {
    expect(deliveryOf({ message }, { asKept: { message: said } }).key).toBeNull()
  })

  it('is never taken for the other kind of name', () => {
    const named = deliveryOf({ message: { ...said, messageId: 'x' } })
    expect(deliveryOf({ message: said }, { key: 'x' }).key?.value).not.toBe(named.key?.value)
  })

  it('can be stored', () => {
    const { key, messageId } = deliveryOf({ message: { ...said, messageId: 'a\u0000b' } })
    expect([key?.value, messageId]).toEqual(['message:ab', 'ab'])
  })
})

describe('the time that a message waits', () => {
  it.each([
    [1, 1_000],
    [300, 300_000],
    [1e15, 365 * DAY_MS],
    [0, null],
    [-5, null],
    [1.5, null],
    ['300', null],
    [null, null],
  ])('is with expires_in_seconds of %j, in milliseconds, %j', (seconds, ms) => {
    const params = { message: said, expires_in_seconds: seconds }
    expect(inMs(deliveryOf(params).expiresAt)).toBe(ms)
    const polled = inMs(deliveryOf(params, { mode: 'poll' }).expiresAt)
    expect(polled).toBe(ms ?? 7 * DAY_MS)
  })
})

describe('twice does no harm', () => {
  const metadata = { 'urn:atrium:a2a:idempotent': true }

  it('to an agent that knows deliveries, or when the sender says so of its request', () => {
    expect(deliveryOf({ message: said }, { isIdempotentAgent: true }).isIdempotent).toBe(true)
    expect(deliveryOf({ message: said, metadata }).isIdempotent).toBe(true)
  })

  it.each([
    {},
    { metadata: null },
    { metadata: { 'urn:atrium:a2a:idempotent': 'true' } },
    { metadata: { 'urn:atrium:a2a:idempotent': 1 } },
    { message: { ...said, metadata } },
  ])('is not read out of %j', (params) => {
    expect(deliveryOf({ message: said, ...params }).isIdempotent).toBe(false)
  })
})

describe('what is compared', () => {
  const digest = (...given: Parameters<typeof deliveryOf>) =>
    deliveryOf(...given).fingerprint.toString('hex')

  it('is what was said, in its version; not how it is asked for, nor what was mended', () => {
    const first = digest({ message: said })
    expect(digest({ message: said }, { method: 'message/stream' })).toBe(first)
    expect(digest({ message: said }, { asKept: { message: { ...said, parts: [{}] } } })).toBe(first)
    expect(digest({ message: said }, { method: 'SendMessage' })).not.toBe(first)
    expect(digest({ message: { ...said, role: 'agent' } })).not.toBe(first)
    expect(digest({ message: said, metadata: {} })).not.toBe(first)
  })
})

it('belongs to a delegation whose id is one', () => {
  const of = (id: string) => deliveryOf({ message: { ...said, metadata: { delegation_id: id } } })
  expect([of(UUID).delegationId, of('not-an-id').delegationId]).toEqual([UUID, null])
})

it('is of a workspace when one has sent it, and of nobody else', () => {
  const of = (sender: Sender) => deliveryOf({ message: said }, { sender })
  const peer = of({ kind: 'workspace', workspaceId, tokenId: '' })
  expect([peer.sender, peer.senderWorkspaceId]).toEqual([`workspace:${UUID}`, UUID])
  expect([of(OPERATOR).sender, of(OPERATOR).senderWorkspaceId]).toEqual(['admin', null])
})
