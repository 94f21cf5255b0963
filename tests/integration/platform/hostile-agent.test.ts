/** Whatever an agent answers, its caller gets a correct JSON-RPC error, soon, and nothing grows. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type EvilBehaviour, EvilWorkspace } from '../../support/evil-workspace.ts'
import {
  HOSTILE_ANSWERS,
  HOSTILE_STREAMS,
  HostileAgent,
  ODD_ANSWERS,
} from '../../support/hostile-agent.ts'
import { type OutsideAgent, registerOutsideAgent } from '../../support/outside-agent.ts'
import { type PlatformProcess, startPlatform } from '../../support/platform-process.ts'
import { peakResidentBytes, resetPeak } from '../../support/process-figures.ts'

/** Until an agent has to have answered. */
const PATIENCE_MS = 1_000
/** That, and what a busy machine adds. */
const SOON_MS = 15_000
const MAX_GROWTH = 160 * 1024 ** 2
/** A number that JSON.parse would change, as an id. */
const ID = '9007199254740993'

const SURFACES = [
  { name: 'platform', path: (id: string) => `/workspaces/${id}/a2a` },
  { name: 'standard', path: (id: string) => `/a2a/${id}` },
] as const
const METHODS = ['message/send', 'message/stream', 'SendMessage', 'SendStreamingMessage'] as const

let platform: PlatformProcess

beforeAll(async () => {
  const env = { ATRIUM_AGENT_TIMEOUT_MS: String(PATIENCE_MS) }
  platform = await startPlatform({ env: { ...env, ATRIUM_IDLE_TIMEOUT_MS: '2000' } })
})
afterAll(async () => {
  // It ended as it should: no answer of an agent has brought it down.
  expect(await platform.stop()).toBe(0)
})

type Told = { readonly status: number; readonly type: string; readonly text: string }

function messageOf(method: string): string {
  const isOld = method.includes('/')
  const part = isOld ? { kind: 'text', text: 'hi' } : { text: 'hi' }
  const message = {
    messageId: crypto.randomUUID(),
    role: isOld ? 'user' : 'ROLE_USER',
    parts: [part],
    ...(isOld ? { kind: 'message' } : {}),
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method, params: { message } })
  return body.replace('"id":0', `"id":${ID}`)
}

type Surface = (typeof SURFACES)[number]

async function say(surface: Surface, to: OutsideAgent, method: string): Promise<Told> {
  const answer = await fetch(`${platform.url}${surface.path(to.id)}`, {
    method: 'POST',
    body: messageOf(method),
    headers: { authorization: `Bearer ${to.token}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(SOON_MS),
  })
  const type = answer.headers.get('content-type') ?? ''
  return { status: answer.status, type, text: await answer.text() }
}

/** The last thing that was said: the whole body, or the last event of a stream. */
function lastOf({ type, text }: Told): string {
  if (!type.startsWith('text/event-stream')) return text
  const data = text.split('\n').filter((line) => line.startsWith('data:'))
  return data.at(-1)?.slice('data:'.length).trim() ?? ''
}

function expectError(told: Told): void {
  const last = lastOf(told)
  expect({ last: last.slice(0, 2_000) }).toEqual({ last: expect.stringMatching(/^\{.*\}$/s) })
  // As the caller wrote it: to the last digit.
  expect(last).toMatch(new RegExp(`"id":${ID}[,}]`))
  const { jsonrpc, error, result } = JSON.parse(last)
  expect({ jsonrpc, result }).toEqual({ jsonrpc: '2.0', result: undefined })
  expect(error).toEqual({
    code: expect.any(Number),
    message: expect.stringMatching(/^[^<]+$/),
    ...('data' in error ? { data: expect.anything() } : {}),
  })
  expect(Number.isInteger(error.code)).toBe(true)
  expect(last).not.toContain('<script>')
}

/** By both surfaces and in both dialects, all at once. */
function sayAll(to: OutsideAgent): Promise<Told[]> {
  return Promise.all(
    SURFACES.flatMap((surface) => METHODS.map((method) => say(surface, to, method))),
  )
}

const ALL = SURFACES.length * METHODS.length

describe('a message to an agent that answers', () => {
  let agent: HostileAgent
  let workspace: OutsideAgent

  beforeAll(async () => {
    agent = await HostileAgent.start()
  })
  beforeEach(async () => {
    workspace = await registerOutsideAgent(platform.url, { url: agent.url })
  })
  afterAll(() => agent.close())

  it.each([...HOSTILE_ANSWERS, ...HOSTILE_STREAMS])('%s is an error', async (name) => {
    agent.says = name
    agent.messages = 0
    resetPeak(platform.pid)
    const before = peakResidentBytes(platform.pid)
    for (const told of await sayAll(workspace)) expectError(told)
    expect(peakResidentBytes(platform.pid) - before).toBeLessThan(MAX_GROWTH)
    // Nothing of this may be done twice.
    expect(agent.messages).toBe(ALL)
    await eventually(async () => (await agent.connections()) <= ALL)
  })

  it.each(ODD_ANSWERS)('with %s is an answer to what was asked', async (name) => {
    agent.says = name
    for (const surface of SURFACES) {
      const told = await say(surface, workspace, 'message/send')
      expect(told.text).toMatch(new RegExp(`"id":${ID}[,}]`))
      const { jsonrpc, result } = JSON.parse(told.text)
      expect({ jsonrpc, result }).toMatchObject({
        jsonrpc: '2.0',
        result: { kind: 'message', parts: [{ kind: 'text', text: 'well' }] },
      })
    }
  })
})

/** What is wrong below HTTP; how each is told apart is in `agent-client-evil.test.ts`. */
const BELOW: readonly EvilBehaviour[] = [
  ...(['redirect', 'never-answers', 'slow-head', 'closes-at-once', 'resets-at-once'] as const),
  ...(['garbage', 'huge-head', 'interim-flood', 'switches-protocols'] as const),
  ...(['bare-cr-in-header', 'two-framings', 'two-lengths', 'length-too-long'] as const),
  ...(['bad-chunk-size', 'chunks-without-end', 'resets-mid-body'] as const),
  ...(['stalls-mid-body', 'endless-body', 'compressed-unasked'] as const),
]

it.each(BELOW)('a message to an agent that plays %s is an error', async (behaviour) => {
  const evil = await EvilWorkspace.start(behaviour)
  try {
    const workspace = await registerOutsideAgent(platform.url, { url: evil.url.href })
    for (const told of await sayAll(workspace)) expectError(told)
  } finally {
    await evil.close()
  }
})
