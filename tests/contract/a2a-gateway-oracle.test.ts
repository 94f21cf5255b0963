/**
 * The official SDK as oracle: what its client sends to its server arrives the same when the gateway
 * is between them, and so does the answer (contract/a2a 2.1.2).
 */
import { randomUUID } from 'node:crypto'
import { AgentCard, Message, SendMessageRequest, Task } from '@a2a-js/sdk'
import { JsonRpcTransportFactory } from '@a2a-js/sdk/client'
import { isJsonObject, type JsonObject } from '@atrium/a2a-schema/lossless-json'
import type { MessageSendParams } from 'a2a-sdk-0-3-14'
import { JsonRpcTransport as JsonRpcTransport03 } from 'a2a-sdk-0-3-14/client'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messageV03, messageV10 } from '../support/a2a-arbitraries.ts'
import { type ValidEntry, validEntries } from '../support/a2a-corpus.ts'
import { startPlatformHarness } from '../support/platform-harness.ts'
import { type MirrorAgent, startMirror03, startMirror10 } from '../support/sdk-mirror-agents.ts'

/** Of each pair of versions; the suite has other things to do, and `2500` takes a minute alone. */
const PER_PAIR = Number(process.env['ATRIUM_ORACLE_MESSAGES'] ?? 250)
const AT_ONCE = 32

type Outcome = { readonly sent: JsonObject; readonly seen: unknown; readonly answer: unknown }
type Send = (message: JsonObject) => Promise<unknown>

let platform: Awaited<ReturnType<typeof startPlatformHarness>>
let mirror10: MirrorAgent<AgentCard>
let mirror03: Awaited<ReturnType<typeof startMirror03>>
const through = new Map<string, { url: string; fetchImpl: typeof fetch }>()

beforeAll(async () => {
  platform = await startPlatformHarness()
  mirror10 = await startMirror10()
  mirror03 = await startMirror03()
  // Of its two versions the card tells one, or the gateway had nothing to translate.
  const supportedInterfaces = mirror10.card.supportedInterfaces.slice(0, 1)
  const only10 = AgentCard.toJSON({ ...mirror10.card, supportedInterfaces })
  await workspaceOf('1.0', mirror10.url, only10)
  await workspaceOf('0.3', mirror03.url, mirror03.card)
})

afterAll(async () => {
  await platform.stop()
  await mirror10.close()
  await mirror03.close()
})

async function workspaceOf(version: string, url: string, card: unknown): Promise<void> {
  const { id, authToken } = await platform.onlineWorkspace(url, { max_concurrent_tasks: 100 })
  await platform.json('/registry/register', { id, url, agent_card: card }, authToken)
  const fetchImpl: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${authToken}`)
    return fetch(input, { ...init, headers })
  }
  through.set(version, { url: `${platform.url}/a2a/${id}`, fetchImpl })
}

/** Where the gateway stands before the agent of this version. */
function gatewayTo(version: '0.3' | '1.0') {
  const found = through.get(version)
  if (found === undefined) throw new Error('no such workspace')
  return found
}

async function client10(url: string, version: string, fetchImpl?: typeof fetch): Promise<Send> {
  const factory = new JsonRpcTransportFactory({
    legacyCompat: { enabled: true },
    ...(fetchImpl === undefined ? {} : { fetchImpl }),
  })
  const entry = { url, protocolBinding: 'JSONRPC', protocolVersion: version, tenant: '' }
  const transport = await factory.create(url, { ...mirror10.card, supportedInterfaces: [entry] })
  return async (message) => {
    const answer = await transport.sendMessage(SendMessageRequest.fromJSON({ message }))
    return 'messageId' in answer ? Message.toJSON(answer) : Task.toJSON(answer)
  }
}

function client03(endpoint: string, fetchImpl?: typeof fetch): Send {
  const transport = new JsonRpcTransport03({
    endpoint,
    ...(fetchImpl === undefined ? {} : { fetchImpl }),
  })
  return async (message) => {
    const params: MessageSendParams = JSON.parse(JSON.stringify({ message }))
    return await transport.sendMessage(params)
  }
}

async function outcomeOf(
  send: Send,
  agent: MirrorAgent<unknown>,
  message: JsonObject,
): Promise<Outcome> {
  const answer = await send(message).catch((error: unknown) => ({ failed: String(error) }))
  const seen = agent.take(String(message['messageId']))
  return { sent: message, seen: withoutTask(seen), answer: withoutTask(answer) }
}

/** The id of the task is the agent's, and another one each time. */
function withoutTask(message: unknown): unknown {
  if (typeof message !== 'object' || message === null) return message
  const { taskId: _, ...rest } = { taskId: undefined, ...message }
  return rest
}

/** Each generated message with an id of its own: one that is repeated is not sent again. */
function messages(kind: fc.Arbitrary<JsonObject>, fields: (message: JsonObject) => JsonObject) {
  return fc.sample(kind, { numRuns: PER_PAIR, seed: 20_261_127 }).map((message, index) => {
    // A task that the agent does not know is an error of every message.
    const { taskId: _, ...rest } = message
    return fields({ contextId: `c-${index}`, ...rest, messageId: `m-${randomUUID()}` })
  })
}

async function compare(
  generated: readonly JsonObject[],
  agent: MirrorAgent<unknown>,
  ways: { readonly direct: Send; readonly gateway: Send },
): Promise<number> {
  let compared = 0
  for (let start = 0; start < generated.length; start += AT_ONCE) {
    const batch = generated.slice(start, start + AT_ONCE)
    const direct = await Promise.all(batch.map((each) => outcomeOf(ways.direct, agent, each)))
    const gateway = await Promise.all(batch.map((each) => outcomeOf(ways.gateway, agent, each)))
    for (const [index, expected] of direct.entries()) {
      expect(gateway[index]).toEqual(expected)
      expect(expected.seen, 'the agent has seen it').toBeDefined()
      compared += 1
    }
  }
  return compared
}

const SLOW = 120_000

describe('the SDK through the gateway is the SDK without it', () => {
  it('1.0 to 1.0', { timeout: SLOW }, async () => {
    const { url, fetchImpl } = gatewayTo('1.0')
    const ways = {
      direct: await client10(mirror10.url, '1.0'),
      gateway: await client10(url, '1.0', fetchImpl),
    }
    expect(await compare(messages(messageV10, withoutWhatTheSdkLoses), mirror10, ways)).toBe(
      PER_PAIR,
    )
  })

  it('0.3 to 0.3', { timeout: SLOW }, async () => {
    const { url, fetchImpl } = gatewayTo('0.3')
    const ways = { direct: client03(mirror03.url), gateway: client03(url, fetchImpl) }
    expect(await compare(messages(messageV03, asIs), mirror03, ways)).toBe(PER_PAIR)
  })

  it('0.3 to 1.0', { timeout: SLOW }, async () => {
    const { url, fetchImpl } = gatewayTo('1.0')
    const ways = { direct: client03(mirror10.url), gateway: client03(url, fetchImpl) }
    expect(await compare(messages(messageV03, asIs), mirror10, ways)).toBe(PER_PAIR)
  })

  it('1.0 to 0.3', { timeout: SLOW }, async () => {
    const { url, fetchImpl } = gatewayTo('0.3')
    const ways = {
      direct: await client10(mirror03.url, '0.3'),
      gateway: await client10(url, '1.0', fetchImpl),
    }
    const generated = messages(messageV10, withoutWhatTheSdkLoses)
    expect(await compare(generated, mirror03, ways)).toBe(PER_PAIR)
  })
})

describe('an agent of the SDK is told by the gateway what a sender of its own kind tells it', () => {
  // The SDK refuses an id that JSON-RPC allows.
  const entries = validEntries().filter(
    ({ meta, name }) => meta._emit_v03 !== undefined && name !== 'id_fraction',
  )

  it('has entries of the corpus to show it with', () => {
    expect(entries.length).toBeGreaterThan(40)
  })

  it.each(entries.map((entry) => [entry.name, entry] as const))(
    '%s',
    { timeout: SLOW },
    async (_name, entry) => {
      const clean10 = { method: 'SendMessage', params: { message: entry.meta._emit_v10 } }
      expect(await toldBy(entry, '1.0')).toEqual(await toldDirectly(clean10, '1.0'))
      const clean03 = { method: 'message/send', params: { message: entry.meta._emit_v03 } }
      expect(await toldBy(entry, '0.3')).toEqual(await toldDirectly(clean03, '0.3'))
    },
  )
})

type Version = '0.3' | '1.0'

async function toldBy({ name, bytes, meta }: ValidEntry, to: Version): Promise<unknown[]> {
  const { url, fetchImpl } = gatewayTo(to)
  const key = { 'Idempotency-Key': `corpus:${name}` }
  const answer = await fetchImpl(url, {
    ...posted(bytes),
    headers: { ...JSON_TYPE, ...key, ...meta._headers },
  })
  // What is an answer is the corpus' own gate to say; an agent that knows no such task is one.
  await answer.text()
  return taken(to)
}

async function toldDirectly(request: object, to: Version): Promise<unknown[]> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...request })
  const { url } = to === '1.0' ? mirror10 : mirror03
  await (await fetch(url, { ...posted(body), headers: { ...JSON_TYPE, 'A2A-Version': to } })).text()
  return taken(to)
}

const JSON_TYPE = { 'Content-Type': 'application/json' }
const posted = (body: string | Buffer) => ({
  method: 'POST',
  body: new Uint8Array(Buffer.from(body)),
})

/** Without what is made anew each time: ids of tasks, and of messages and contexts that had none. */
function taken(to: Version): unknown[] {
  const seen = (to === '1.0' ? mirror10 : mirror03).takeAll()
  return seen.map((each) =>
    JSON.parse(JSON.stringify(each, (name, value) => (isMade(name, value) ? 'made' : value))),
  )
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function isMade(name: string, value: unknown): boolean {
  if (name === 'taskId') return true
  const isId = name === 'messageId' || name === 'contextId'
  return isId && (value === 'minted-id' || UUID.test(String(value)))
}

const asIs = (message: JsonObject): JsonObject => message

/** Contract/a2a 2.1.2: its codec drops `data: null`; the gateway carries it. */
function withoutWhatTheSdkLoses(message: JsonObject): JsonObject {
  const { parts } = message
  if (!Array.isArray(parts)) return message
  const kept = parts.filter((part) => !isJsonObject(part) || part['data'] !== null)
  return { ...message, parts: kept.length === 0 ? [{ text: 'x' }] : kept }
}
