/** What passes between a caller and an agent, and what a failure leaves in the ledger (delivery-guarantees). */
import { describe, expect, it } from 'vitest'
import { answerWith, message, RESULT, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

// No sweep looks before the test is over.
provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '300', ATRIUM_SWEEP_INTERVAL_MS: '600000' })

const JSON_TYPE = 'application/json'
const DATE = 'Wed, 21 Oct 2026 07:28:00 GMT'
const BUSY = '{"error":"busy","code":"agent_busy"}'

const row = async (messageId = 'm1') => {
  const [found] = await platform.client.sql`
    SELECT state, reason, idempotency_key IS NOT NULL AS keeps_key, length(response) AS kept,
           extract(epoch FROM next_attempt_at - queued_at)::float8 AS waits
      FROM a2a_deliveries
     WHERE workspace_id = ${workspace.id} AND ${messageId}::text IN (message_id, 'any')`
  return found
}
const settled = (messageId?: string) =>
  eventually(async () => {
    const found = await row(messageId)
    return found?.['state'] !== 'dispatched' && found
  })
/** One of several to the same workspace. */
const sendAs = (messageId: string) =>
  send(request({ params: { message: { ...message, messageId } } }))
const answerAs = (status: number, body: string, headers: Record<string, string>) => {
  box.answer = (_, response) => response.writeHead(status, headers).end(body)
}

describe('of headers', () => {
  it('an agent is told those that are on the list, and no others', async () => {
    answerWith(200, JSON_TYPE, RESULT)
    const answer = await send(request(), {
      ...{ cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'idempotency-key': 'k', 'x-timeout': '9' },
      ...{ 'x-atrium-delivery-id': 'mine', 'x-request-id': 'request-of-a-caller' },
      ...{ 'a2a-extensions': 'urn:a', accept: 'text/html', 'accept-encoding': 'gzip' },
    })
    expect(answer.status).toBe(200)
    const { host, connection, 'content-length': length, ...told } = box.requests[0]?.headers ?? {}
    expect([host, connection, Number(length)]).not.toContain(undefined)
    expect(told).toEqual({
      ...{ accept: 'application/json, text/event-stream', 'accept-encoding': 'identity' },
      ...{ 'content-type': JSON_TYPE, authorization: `Bearer ${workspace.inboundSecret}` },
      ...{
        'a2a-version': '0.3',
        'x-a2a-extensions': 'urn:a',
        'x-request-id': 'request-of-a-caller',
      },
      'x-atrium-delivery-id': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/),
    })
  })

  it('a caller is told which extensions were used, and nothing else of the agent', async () => {
    answerAs(200, RESULT, {
      ...{
        'content-type': JSON_TYPE,
        'set-cookie': 'a=b',
        server: 'mine',
        'x-request-id': 'theirs',
      },
      ...{ 'x-a2a-extensions': 'urn:a', 'access-control-allow-origin': '*', 'x-own': '1' },
    })
    const { headers } = await send(request())
    expect(headers.get('x-a2a-extensions')).toBe('urn:a')
    for (const name of ['set-cookie', 'server', 'access-control-allow-origin', 'x-own']) {
      expect([name, headers.get(name)]).toEqual([name, null])
    }
    expect(headers.get('x-request-id')).not.toBe('theirs')
  })

  it('Retry-After is passed on when it is seconds', async () => {
    const cases = { 7: '7', 86_400: '86400', 123_456: null, '-1': null, '1.5': null, [DATE]: null }
    for (const [said, told] of Object.entries(cases)) {
      answerAs(429, 'slow down', { 'content-type': 'text/plain', 'retry-after': said })
      const answer = await sendAs(said)
      const passed = answer.headers.get('retry-after')
      expect([said, answer.status, passed]).toEqual([said, 429, told])
      expect(await answer.json()).toMatchObject({ error: { data: { upstream_status: 429 } } })
    }
  })
})

describe('an agent that is busy', () => {
  it('is asked again when it says, or after a second', async () => {
    const cases = { 300: 300, '0.5': 0.5, 301: 1, 0: 1, '-5': 1, soon: 1 }
    for (const [said, seconds] of Object.entries(cases)) {
      answerAs(503, BUSY, { 'content-type': JSON_TYPE, 'retry-after': said })
      expect((await sendAs(said)).status).toBe(202)
      expect([said, (await row(said))?.['waits']]).toEqual([said, expect.closeTo(seconds, 2)])
      // The next one is not to wait behind it.
      await platform.client.sql`DELETE FROM a2a_deliveries WHERE workspace_id = ${workspace.id}`
    }
  })

  it('says so with 503 and the code, and with nothing else', async () => {
    const cases = [
      [500, BUSY],
      [429, BUSY],
      [503, '{"error":"busy","code":"busy"}'],
      [503, '"agent_busy"'],
      [503, 'null'],
      [503, 'agent_busy'],
    ] as const
    for (const [status, body] of cases) {
      answerWith(status, JSON_TYPE, body)
      const id = `${status}${body}`
      expect([id, (await sendAs(id)).status]).toEqual([id, status])
      expect(await settled(id)).toMatchObject({ state: 'failed' })
    }
  })
})

const UNKNOWN = { reason: 'outcome_unknown', keeps_key: true }
const isDead = () => platform.provisioner.running.delete(workspace.id)
const nowhere = () => platform.client.sql`
  UPDATE workspaces SET endpoint_url = 'http://127.0.0.1:9' WHERE id = ${workspace.id}`
const breaksOff = () => {
  box.answer = (_, response) => response.socket?.resetAndDestroy()
}
const isSilent = () => {
  box.answer = () => undefined
}
const trickles = () => {
  box.answer = (_, response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE })
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  }
}
const html = (status: number) => () => answerWith(status, 'text/html', '<p>')
const outside = () => platform.client.sql`
  UPDATE workspaces SET generation = 0, agent_url = ${box.url} WHERE id = ${workspace.id}`

type Case = readonly [string, () => unknown, number, object]
const ALIVE: readonly Case[] = [
  ['breaks off', breaksOff, 502, UNKNOWN],
  ['is silent', isSilent, 504, UNKNOWN],
  ['trickles', trickles, 504, UNKNOWN],
  ['is behind a proxy that has lost it', html(502), 502, UNKNOWN],
  ['errs', html(500), 500, { reason: 'agent_error', keeps_key: true }],
  ['refuses', html(403), 403, { reason: 'agent_error', keeps_key: true }],
  ['talks nonsense', html(200), 502, { reason: 'workspace_invalid_response', keeps_key: true }],
  ['does not know us', html(401), 502, { reason: 'workspace_auth_mismatch', keeps_key: false }],
  ['sends us on', html(307), 502, { reason: 'workspace_redirected', keeps_key: false }],
  ['sends us on for good', html(399), 502, { reason: 'workspace_redirected', keeps_key: false }],
  ['may not be there', outside, 502, { reason: 'agent_url_not_routable', keeps_key: false }],
]
const DEAD: readonly Case[] = [
  ['breaks off', breaksOff, 503, UNKNOWN],
  ['is silent', isSilent, 503, UNKNOWN],
  ['is behind a proxy that has lost it', html(504), 503, UNKNOWN],
  ['is gone', nowhere, 503, { reason: 'agent_restarting', keeps_key: false }],
]

async function expectEnd([name, be, status, end]: Case): Promise<void> {
  await be()
  expect([name, (await sendAs(name)).status]).toEqual([name, status])
  expect([name, await settled(name)]).toMatchObject([name, { state: 'failed', ...end }])
}

describe('a message whose agent', () => {
  it('fails has failed, and may be sent again where it was never seen', async () => {
    for (const each of ALIVE) await expectEnd(each)
  })

  it.each(DEAD)('%s, and is dead, the same', async (...each) => {
    isDead()
    await expectEnd(each)
  })

  it('is gone, but lives, waits', async () => {
    await nowhere()
    expect((await send(request())).status).toBe(202)
    expect(await row()).toMatchObject({ state: 'queued', keeps_key: true })
  })

  it('is behind a proxy that has lost it is sent again where that does no harm', async () => {
    html(502)()
    const metadata = { 'urn:atrium:a2a:idempotent': true }
    const answer = await send(request({ params: { message, metadata } }))
    expect(answer.status).toBe(202)
    expect(await row()).toMatchObject({ state: 'queued', reason: 'outcome_unknown' })
  })
})

describe('of an answer', () => {
  const MIB = 1024 ** 2
  const ofLength = (bytes: number) => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 7, result: { kind: 'message', pad: '' } })
    return text.replace('"pad":""', `"pad":"${'x'.repeat(bytes - text.length)}"`)
  }

  it('1 MiB is kept for who asks again', async () => {
    answerWith(200, JSON_TYPE, ofLength(MIB))
    expect((await (await send(request())).text()).length).toBe(MIB)
    expect(await settled()).toMatchObject({ state: 'completed', kept: MIB })
  })

  it('more is told once, and its work is not done twice', async () => {
    answerWith(200, JSON_TYPE, ofLength(MIB + 1))
    expect((await (await send(request())).text()).length).toBe(MIB + 1)
    expect(await settled()).toMatchObject({ state: 'completed', kept: null })
    const again = await send(request())
    expect([again.status, await again.json()]).toMatchObject([
      409,
      { error: { data: { code: 'delivery_answer_gone' } } },
    ])
    expect(box.requests).toHaveLength(1)
  })

  it('no more than that is kept of one that had to wait', async () => {
    answerAs(503, BUSY, { 'content-type': JSON_TYPE, 'retry-after': '0.1' })
    expect((await send(request())).status).toBe(202)
    answerWith(200, JSON_TYPE, ofLength(MIB + 1))
    await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
    await eventually(async () => (await row())?.['state'] === 'completed')
    expect(await row()).toMatchObject({ kept: null })
  })

  it('that nobody can ask for nothing is kept', async () => {
    answerWith(200, JSON_TYPE, RESULT)
    await send(request({ params: { message: { ...message, messageId: undefined } } }))
    const end = { state: 'completed', kept: null, keeps_key: false }
    expect(await settled('any')).toMatchObject(end)
  })
})

it('the canvas is told what an agent has answered to people, when it did well, and of nothing else', async () => {
  const follower = await openEventStream({
    url: `${platform.url}/workspaces/${workspace.id}/events/stream`,
    bearer: workspace.authToken,
  })
  await eventually(() => follower.frames.length >= 2)
  answerWith(500, JSON_TYPE, RESULT)
  const asPeople = (body: string) => platform.json(`/a2a/${workspace.id}`, JSON.parse(body))
  await asPeople(request({ params: { message: { ...message, messageId: 'm2' } } }))
  answerWith(200, JSON_TYPE, RESULT)
  await send(request())
  await asPeople(request({ params: { message: { ...message, messageId: 'm3' } } }))
  await platform.deps.tracker.drain()
  const texts = () => follower.frames.map(({ data }) => JSON.stringify(data ?? ''))
  await eventually(() => texts().filter((text) => text.includes('ACTIVITY_LOGGED')).length >= 3)
  const told = await eventually(() => {
    const found = texts().filter((text) => text.includes('A2A_RESPONSE'))
    return found.length > 0 && found
  })
  expect(told).toHaveLength(1)
  expect(JSON.parse(told[0] ?? '')).toMatchObject({
    data: { response_body: JSON.parse(RESULT), method: 'message/send' },
  })
  follower.close()
})
