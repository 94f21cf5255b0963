/** The replay gate: every request that was ever seen or thought of, through the rules and the route. */
import { DECISIONS } from '@atrium/a2a-schema/decisions'
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonValue, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { methodTraits } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { NOTES } from '@atrium/a2a-schema/notes'
import { translateRequest } from '@atrium/a2a-schema/translate/request'
import { validateParams } from '@atrium/a2a-schema/validate-params'
import { readVersion } from '@atrium/a2a-schema/version'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type InvalidEntry,
  invalidEntries,
  type ValidEntry,
  validEntries,
} from '../support/a2a-corpus.ts'
import { box, provideBoxedWorkspace, workspace } from '../support/boxed-workspace.ts'
import { platform } from '../support/shared-platform.ts'

/** Stands in the corpus for an id that was made. */
const MINTED = 'minted-id'
const ids = { uuid: () => MINTED }

const VALID = validEntries()
const INVALID = invalidEntries()

/** As text, because no two of these numbers may be taken for each other: 1.0 is not 1 on the wire. */
const printed = (value: JsonValue | undefined): string | undefined => JSON.stringify(value)

function parsed({ bytes }: { readonly bytes: Buffer }) {
  const result = parseRpcRequest(bytes, ids)
  if (!result.ok) throw new Error(result.error.message)
  return result.request
}

const messageOf = (params: JsonValue | undefined): JsonValue | undefined =>
  isJsonObject(params) ? params['message'] : undefined

/** Members in a fixed order: translation may move them. */
function sorted(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) return value.map((item) => sorted(item) ?? null)
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item) ?? null] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

describe('the rules', () => {
  it.each(VALID.map((entry) => [entry.name, entry] as const))('take %s', (_name, entry) => {
    const { meta } = entry
    expect(readVersion(meta._headers?.['A2A-Version']).ok).toBe(true)
    const request = parsed(entry)
    const traits = methodTraits(request.method)
    expect(traits.dialect).toBe(meta._dialect)
    const result = normaliseRequest(request, ids)
    if (!result.ok) throw new Error(result.error.message)
    expect([...result.notes].sort()).toEqual([...meta._normalised].sort())
    const { params, method } = result.request
    const { operation, dialect } = methodTraits(method)
    if (operation === undefined || dialect === 'unknown') return
    expect(validateParams(operation, dialect, params)).toBeUndefined()
    if (!traits.carriesMessage) return
    const other = dialect === '1.0' ? '0.3' : '1.0'
    const translated = translateRequest({ operation, params }, dialect, other)
    expect(validateParams(operation, other, translated)).toBeUndefined()
    const [own, foreign] =
      dialect === '1.0' ? [meta._emit_v10, meta._emit_v03] : [meta._emit_v03, meta._emit_v10]
    expect(printed(sorted(messageOf(params)))).toBe(printed(sorted(own)))
    expect(printed(sorted(messageOf(translated)))).toBe(printed(sorted(foreign)))
  })

  it.each(INVALID.map((entry) => [entry.name, entry] as const))('refuse %s', (_name, entry) => {
    const { meta } = entry
    const refusal = refusalOf(entry)
    expect(refusal.code).toBe(meta._expect_code)
    if (refusal.message !== undefined) expect(refusal.message).toContain(meta._expect_error)
    expect(refusal.field).toBe(meta._expect_field)
  })
})

type Refusal = {
  readonly code: number | undefined
  /** Undefined where the words are the surface's. */
  readonly message?: string
  readonly field?: string | undefined
}

/** What is wrong, in the order of contract/a2a 2.2. The surface alone knows content types. */
function refusalOf({ bytes, meta }: InvalidEntry): Refusal {
  const type = meta._headers?.['Content-Type'] ?? 'application/json'
  if (!type.includes('json')) return { code: -32005 }
  const request = parseRpcRequest(bytes, ids)
  if (!request.ok) return request.error
  if (!readVersion(meta._headers?.['A2A-Version']).ok) return { code: -32009 }
  const result = normaliseRequest(request.request, ids)
  if (!result.ok) return { ...result.error, field: fieldIn(result.error.data) }
  const { method, params } = result.request
  const { operation, dialect } = methodTraits(method)
  if (operation === undefined || dialect === 'unknown') return { code: -32601 }
  const fault = validateParams(operation, dialect, params)
  return fault === undefined
    ? { code: undefined }
    : { code: -32602, message: `${fault.field} ${fault.detail}`, field: fault.field }
}

describe('the gateway', () => {
  provideBoxedWorkspace({})

  /** One sender may say the same twice; here every entry is a message of its own. */
  const post = ({ name, bytes, meta }: ValidEntry | InvalidEntry, address: string) =>
    platform.request(address.replace(':id', workspace.id), {
      method: 'POST',
      body: bytes,
      headers: {
        'Content-Type': 'application/json',
        'Idempotency-Key': `corpus:${name}`,
        'X-Request-Id': `corpus.${name}`,
        ...meta._headers,
      },
      as: workspace.authToken,
    })

  /** What the agent was told, which it must be told once. */
  function heard(name: string): Buffer | undefined {
    const told = box.requests.filter(({ headers }) => headers['x-request-id'] === `corpus.${name}`)
    expect([name, told.length]).toEqual([name, 1])
    return told[0]?.body
  }

  /** With a card that says so, and no other version. */
  async function register(version: '0.3' | '1.0'): Promise<void> {
    const { url } = box
    const current = { url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }
    const versions =
      version === '1.0' ? { supportedInterfaces: [current] } : { url, protocolVersion: '0.3.0' }
    const card = { id: workspace.id, url, agent_card: { name: 'agent', ...versions } }
    const answer = await platform.json('/registry/register', card, workspace.authToken)
    expect(answer.status).toBe(200)
  }

  /** Says what it was told, in the words of who told it. */
  function echo(): void {
    box.answer = ({ body }, response) => {
      const { id = null, method, params } = objectOf(body)
      const given = messageOf(params)
      const message = { messageId: 'answer', ...(isJsonObject(given) ? given : {}) }
      const result = String(method).includes('/') ? { kind: 'message', ...message } : { message }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    }
  }

  // Both surfaces are one pipeline: each agent is played to by way of another of its addresses.
  it.each([
    ['that does not say what it speaks', undefined, '/workspaces/:id/a2a'],
    ['of 0.3', '0.3', '/a2a/:id'],
    ['of 1.0', '1.0', '/a2a/:id/'],
  ] as const)('gives an agent %s what every valid entry says', async (_, spoken, address) => {
    echo()
    if (spoken !== undefined) await register(spoken)
    // What is no message, this agent answers in one dialect only.
    const entries = VALID.filter(({ meta }) => spoken === undefined || meta._emit_v03 !== undefined)
    await eachOf(entries, async (entry) => {
      const { name } = entry
      const answer = await post(entry, address)
      const text = await answer.text()
      expect([name, answer.status, text]).toEqual([name, 200, expect.any(String)])
      expect([name, idOf(text)]).toEqual([name, expectedId(entry)])
      expectSenderTold(entry, answer.headers)
      if (entry.meta._emit_v03 === undefined) return
      expectAgentGot(entry, spoken, heard(name))
      expectHeardBack(entry, text)
    })
  })

  it.each([
    ['/workspaces/:id/a2a', undefined],
    // Where the standards have JSON-RPC errors, they have them under 200 (contract/a2a 2.5).
    ['/a2a/:id/', 200],
  ] as const)(
    'refuses every invalid entry at %s, under its own id, and tells no agent',
    async (address, status) => {
      echo()
      await eachOf(INVALID, async (entry) => {
        const { meta, name } = entry
        const answer = await post(entry, address)
        const text = await answer.text()
        expect([name, answer.status]).toEqual([name, status ?? meta._expect_status])
        const { error, id } = JSON.parse(text)
        expect([name, error.code]).toEqual([name, meta._expect_code])
        expect(error.message).toContain(meta._expect_error)
        const known = parseRpcRequest(entry.bytes, ids)
        expect([name, id]).toEqual([name, known.ok ? known.request.id : known.error.id])
        if (meta._expect_field !== undefined) expect(fieldIn(error.data)).toBe(meta._expect_field)
      })
      expect(box.requests).toEqual([])
    },
  )
})

/** Several at a time: a gate that is slow is left out. */
async function eachOf<T>(entries: readonly T[], play: (entry: T) => Promise<void>): Promise<void> {
  const waiting = [...entries]
  const player = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift())
      await play(entry)
  }
  await Promise.all(Array.from({ length: 8 }, player))
}

function objectOf(bytes: Buffer | string) {
  return objectIn(parseLossless(bytes.toString()))
}

function objectIn(value: JsonValue | undefined) {
  if (!isJsonObject(value)) throw new Error('no object')
  return value
}

const idOf = (text: string): string | undefined => {
  const id = objectOf(text)['id'] ?? null
  return isUuid(id) ? MINTED : printed(id)
}

function expectedId(entry: ValidEntry): string | undefined {
  const { id } = parsed(entry)
  return id === MINTED || isUuid(id) ? MINTED : printed(id)
}

function isUuid(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f-]{36}$/.test(value)
}

/** What was repaired; and the id of a message that had none. */
function expectSenderTold({ name, meta }: ValidEntry, headers: Headers): void {
  const told = headers.get('x-a2a-normalized')?.split(',') ?? []
  expect([name, told.sort()]).toEqual([name, [...meta._normalised].sort()])
  const isMinted = meta._emit_v03?.['messageId'] === MINTED
  expect([name, isUuid(headers.get('x-a2a-message-id'))]).toEqual([name, isMinted])
}

/** The message in the agent's dialect; and, where nothing had to change, the very bytes. */
function expectAgentGot(
  entry: ValidEntry,
  spoken: '0.3' | '1.0' | undefined,
  body: Buffer | undefined,
): void {
  if (body === undefined) throw new Error(`${entry.name} did not reach the agent`)
  const { meta, name } = entry
  const own = meta._dialect === '1.0' ? '1.0' : '0.3'
  const dialect = spoken ?? own
  const { method, params } = objectOf(body)
  expect([name, methodTraits(String(method)).dialect]).toEqual([name, dialect])
  const message = objectIn(messageOf(params))
  const isMinted = meta._emit_v03?.['messageId'] === MINTED
  const got = isMinted && isUuid(message['messageId']) ? { ...message, messageId: MINTED } : message
  const expected = dialect === '1.0' ? meta._emit_v10 : meta._emit_v03
  expect([name, printed(sorted(got))]).toEqual([name, printed(sorted(expected))])
  const result = normaliseRequest(parsed(entry), ids)
  if (dialect !== own || !result.ok || result.changed) return
  // A caller without an id gets its answer under null, but an agent need not do without.
  const sent = name === 'id_missing' ? body.toString().replace(/^\{"id":"[^"]+",/, '{') : `${body}`
  expect([name, sent]).toEqual([name, entry.bytes.toString()])
}

/** What the agent said, which is what it was told, in the sender's own words. */
function expectHeardBack({ name, meta }: ValidEntry, text: string): void {
  if (meta._dialect === '0.1') return
  const result = objectIn(objectOf(text)['result'])
  const [heard, emitted] =
    meta._dialect === '1.0'
      ? [objectIn(result['message']), meta._emit_v10]
      : [result, meta._emit_v03]
  expect([name, printed(sorted(heard['parts']))]).toEqual([
    name,
    printed(sorted(emitted?.['parts'])),
  ])
}

/** 1.0 has a list of details, of which one names fields; in 0.3 it is a member (contract/a2a 1.6). */
function fieldIn(data: unknown): string | undefined {
  const list: unknown[] = Array.isArray(data) ? data : [data]
  const [field] = list.flatMap((detail) => {
    const known = errorDetail.parse(detail)
    return known.fieldViolations?.map((violation) => violation.field) ?? known.field ?? []
  })
  return field
}

const errorDetail = z.looseObject({
  field: z.string().optional(),
  fieldViolations: z.array(z.looseObject({ field: z.string() })).optional(),
})

describe('the corpus', () => {
  const ALL = [...VALID, ...INVALID]

  it('has an example of every decision', () => {
    const shown = new Set(ALL.flatMap(({ meta }) => meta._rows))
    const decided = [...DECISIONS.map(({ id }) => id), 'M19']
    expect(decided.filter((id) => !shown.has(id))).toEqual([])
    expect([...shown].filter((id) => !decided.includes(id))).toEqual([])
  })

  it('has an example of everything that a sender is told', () => {
    const told = new Set(VALID.flatMap(({ meta }) => meta._normalised))
    expect(NOTES.filter((note) => !told.has(note))).toEqual([])
  })

  it('only grows', () => {
    expect(VALID.length).toBeGreaterThanOrEqual(88)
    expect(INVALID.length).toBeGreaterThanOrEqual(61)
    const count = (dialect: string) => ALL.filter(({ meta }) => meta._dialect === dialect).length
    expect(count('0.1')).toBeGreaterThanOrEqual(3)
    expect(count('0.3')).toBeGreaterThanOrEqual(80)
    expect(count('1.0')).toBeGreaterThanOrEqual(30)
    for (const code of [-32700, -32600, -32602]) {
      const hit = INVALID.filter(({ meta }) => meta._expect_code === code).length
      expect([code, hit]).toEqual([code, expect.toSatisfy((n: number) => n >= 5)])
    }
  })

  it('keeps the shapes that the contract began with', () => {
    const names = new Set(ALL.map(({ name }) => name))
    expect(CONTRACT_NAMES.filter((name) => !names.has(name))).toEqual([])
  })

  it('says nothing twice', () => {
    const bodies = new Map<string, string>()
    for (const { name, bytes, meta } of ALL) {
      const key = `${JSON.stringify(meta._headers)} ${bytes.toString('base64')}`
      expect([name, bodies.get(key)]).toEqual([name, undefined])
      bodies.set(key, name)
    }
  })
})

const CONTRACT_NAMES = [
  'v0_2_string_content',
  'v0_2_string_content_no_message_id',
  'v0_2_list_content',
  'v0_3_text',
  'v0_3_multi_text',
  'v0_3_with_file',
  'v0_3_with_context_id',
  'v0_3_stream_method',
  'v0_3_unicode',
  'v0_3_large_text',
  'no_envelope_legacy',
  'neither_content_nor_parts',
  'content_integer',
  'content_boolean',
  'malformed_truncated',
  'malformed_not_json',
  'malformed_empty',
  'malformed_whitespace',
]
