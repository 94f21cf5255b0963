import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { callWorkspace } from '../../../apps/platform/src/services/gateway/call-workspace.ts'
import { openDatabaseGate } from '../../support/database-gate.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
  readFeed,
} from '../../support/external-workspace.ts'
import { startPlatformHarness } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let workspace: ExternalWorkspace
beforeEach(async () => {
  workspace = await externalWorkspace()
})

const envelope = (message: object, fields: object = {}) => ({
  jsonrpc: '2.0',
  id: 7,
  method: 'message/send',
  params: {
    message: { role: 'user', messageId: 'm1', parts: [{ kind: 'text', text: 'hi' }], ...message },
  },
  ...fields,
})

const send = (body: unknown, as?: string, headers: Record<string, string> = {}) =>
  platform.request(`/workspaces/${workspace.id}/a2a`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    ...(as === undefined ? {} : { as }),
  })

describe("the contract's script for poll mode (runtime 16.4)", () => {
  it('registers, queues, and lets the agent read on from where it was', async () => {
    const { id, authToken } = await externalWorkspace({}, false)
    const register = (fields: object) =>
      platform.json('/registry/register', { id, agent_card: { name: 'x' }, ...fields }, authToken)
    const registered = await register({ delivery_mode: 'poll' })
    expect([registered.status, await registered.json()]).toMatchObject([
      200,
      { status: 'registered', delivery_mode: 'poll' },
    ])
    expect((await register({ delivery_mode: 'sometimes' })).status).toBe(400)
    workspace = { id, authToken }
    const sent = await send(envelope({ messageId: 'first' }))
    expect([sent.status, await sent.json()]).toMatchObject([
      200,
      { status: 'queued', delivery_mode: 'poll', method: 'message/send' },
    ])
    const [row] = await feed(workspace)
    expect(row).toMatchObject({ activity_type: 'a2a_receive', method: 'message/send' })
    await send(envelope({ messageId: 'second' }))
    await send(envelope({ messageId: 'third' }))
    const newer = await feed(workspace, `since_id=${row?.id}`)
    expect(newer.map((each) => each.request_body?.params?.message?.['messageId'])).toEqual([
      'second',
      'third',
    ])
    const other = await externalWorkspace()
    for (const cursor of [randomUUID(), row?.id]) {
      const reader = cursor === row?.id ? other : workspace
      const gone = await readFeed(reader, `since_id=${cursor}`)
      expect(gone.status).toBe(410)
      expect(await gone.text()).toContain('since_id')
    }
  })
})

describe('a message to a workspace that polls', () => {
  it('is kept whole, as the agent shall read it', async () => {
    const big = 'ä'.repeat(400_000)
    await send({ method: 'message/send', params: { message: { role: 'user', content: big } } })
    const [row] = await feed(workspace)
    expect(row).toMatchObject({
      source_id: null,
      target_id: workspace.id,
      status: 'ok',
      summary: 'message/send → laptop',
      request_body: {
        jsonrpc: '2.0',
        method: 'message/send',
        params: {
          message: { parts: [{ kind: 'text', text: big }], messageId: expect.any(String) },
        },
      },
    })
    expect(row).not.toHaveProperty('response_body')
  })

  it('calls nobody, wherever the agent once said it was', async () => {
    await platform.client.sql`
      UPDATE workspaces SET agent_url = 'http://169.254.169.254/' WHERE id = ${workspace.id}`
    expect((await send(envelope({}))).status).toBe(200)
    expect(await feed(workspace)).toHaveLength(1)
  })

  it('is kept before the agent has ever registered', async () => {
    workspace = await externalWorkspace({}, false)
    expect(await (await send(envelope({}))).json()).toMatchObject({ status: 'queued' })
    expect(await feed(workspace)).toHaveLength(1)
  })

  it.each([
    ['{', 400],
    [envelope({ parts: [], content: 5 }), 400],
    [envelope({ parts: [{ kind: 'text', text: 'a\u0000b' }] }), 400],
    [`{"jsonrpc":"2.0","id":7,"method":"x","params":${'['.repeat(7000)}${']'.repeat(7000)}}`, 400],
    [envelope({ padding: 'x'.repeat(1024 * 1024) }), 413],
  ])('is not acknowledged when it cannot be kept (%#)', async (body, status) => {
    expect((await send(body)).status).toBe(status)
    expect(await feed(workspace)).toEqual([])
  })

  it('is kept once however often, and how fast, its sender repeats it', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(envelope({}))))
    expect(answers.map((answer) => answer.status)).toEqual(new Array(6).fill(200))
    expect(await feed(workspace)).toHaveLength(1)
  })

  it('is another message when the sender, or what it says, is another', async () => {
    const peer = await externalWorkspace()
    await send(envelope({}))
    await send(envelope({}), peer.authToken)
    await send(envelope({ messageId: undefined }))
    await send(envelope({ messageId: undefined }))
    expect(await feed(workspace)).toHaveLength(4)
  })

  it('is refused, and not lost unseen, when the same id says something else', async () => {
    await send(envelope({}))
    const other = await send(envelope({ parts: [{ kind: 'text', text: 'ho' }] }))
    expect([other.status, await other.json()]).toMatchObject([
      409,
      { error: { data: { code: 'idempotency_conflict', queue_id: expect.any(String) } } },
    ])
    expect(await feed(workspace)).toHaveLength(1)
  })

  it('is refused and not forgotten when the database is away', async () => {
    let gate: Awaited<ReturnType<typeof openDatabaseGate>> | undefined
    const fragile = await startPlatformHarness({}, undefined, async (url) => {
      gate = await openDatabaseGate(url)
      return gate.url
    })
    try {
      const created = await fragile.json('/workspaces', { name: 'x', external: true })
      const { id } = (await created.json()) as { id: string }
      await gate?.shut()
      const answer = await fragile.json(`/workspaces/${id}/a2a`, envelope({}))
      expect(answer.status).toBe(503)
      await gate?.open()
      await fragile.json(`/workspaces/${id}/a2a`, envelope({}))
      const rows = await fragile.database.sql`SELECT 1 FROM activity_logs`
      expect(rows).toHaveLength(1)
    } finally {
      await gate?.open()
      await fragile.stop()
      await gate?.shut()
    }
  })

  it('counts against the budget like any other', async () => {
    await platform.client.sql`
      UPDATE workspaces SET budget_limit = 5, monthly_spend = 5 WHERE id = ${workspace.id}`
    const answer = await send(envelope({}))
    expect(answer.status).toBe(402)
    expect(await answer.json()).toMatchObject({
      id: 7,
      error: { message: 'workspace budget limit exceeded', data: { code: 'budget_exceeded' } },
    })
  })
})

describe('the source of a message', () => {
  it('is the workspace whose token was presented, whatever a header says', async () => {
    const peer = await externalWorkspace()
    const named = { 'x-workspace-id': peer.id.toUpperCase() }
    expect((await send(envelope({ messageId: 'a' }), peer.authToken)).status).toBe(200)
    expect((await send(envelope({ messageId: 'b' }), peer.authToken, named)).status).toBe(200)
    const rows = await feed(workspace)
    expect(rows.map((row) => row.source_id)).toEqual([peer.id, peer.id])
    await platform.deps.tracker.drain()
    const [noted] = await platform.client.sql`
      SELECT last_outbound_at, last_activity_at FROM workspaces WHERE id = ${peer.id}`
    expect(noted?.['last_outbound_at']).not.toBeNull()
    expect(noted?.['last_activity_at']).not.toBeNull()
  })

  it('is nobody for people: the operator, and who speaks as the workspace itself', async () => {
    await send(envelope({ messageId: 'a' }))
    await send(envelope({ messageId: 'b' }), workspace.authToken)
    expect((await feed(workspace)).map((row) => row.source_id)).toEqual([null, null])
  })

  it.each([
    ['webhook:github', 403, 'invalid caller ID'],
    ['system:x', 403, 'invalid caller ID'],
    ['test:x', 403, 'invalid caller ID'],
    ['channel:x', 403, 'invalid caller ID'],
    [randomUUID(), 401, 'invalid caller auth token'],
    ['the target', 401, 'invalid caller auth token'],
  ])('cannot be claimed: %s', async (name, status, error) => {
    const peer = await externalWorkspace()
    const claimed = name === 'the target' ? workspace.id : name
    const answer = await send(envelope({}), peer.authToken, { 'x-workspace-id': claimed })
    expect([answer.status, await answer.json()]).toMatchObject([
      status,
      { error: { message: error, data: { error } } },
    ])
    expect(await feed(workspace)).toEqual([])
  })

  it('keeps the name of a part of the platform itself (wart W7)', async () => {
    const target = workspace.id as Parameters<typeof callWorkspace>[1]['workspaceId']
    await callWorkspace(platform.deps, {
      workspaceId: target,
      caller: { kind: 'internal', name: 'webhook:github' },
      body: Buffer.from(JSON.stringify(envelope({}))),
      headers: () => undefined,
      requestId: 'r',
      signal: new AbortController().signal,
    })
    expect(await feed(workspace)).toMatchObject([
      { source_id: null, source_name: 'webhook:github' },
    ])
  })
})

describe('who may talk to whom', () => {
  const child = (parent: ExternalWorkspace) => externalWorkspace({ parent_id: parent.id })

  it('is decided by the tree: up, down and beside, and by nothing else', async () => {
    const root = await externalWorkspace()
    const left = await child(root)
    const right = await child(root)
    const leaf = await child(left)
    const stranger = await externalWorkspace()
    const talk = async (from: ExternalWorkspace, to: ExternalWorkspace) => {
      workspace = to
      return (await send(envelope({ messageId: randomUUID() }), from.authToken)).status
    }
    expect(await talk(root, leaf)).toBe(200)
    expect(await talk(leaf, root)).toBe(200)
    expect(await talk(left, right)).toBe(200)
    expect(await talk(root, stranger)).toBe(200)
    expect(await talk(leaf, right)).toBe(403)
    expect(await talk(stranger, leaf)).toBe(403)
    workspace = { id: randomUUID(), authToken: '' }
    expect((await send(envelope({}), stranger.authToken)).status).toBe(403)
  })

  it("says so in the contract's words, before it looks at the message", async () => {
    const stranger = await externalWorkspace()
    workspace = await child(await externalWorkspace())
    const answer = await send('{"jsonrpc":"2.0","id":9,"method":5}', stranger.authToken)
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      {
        id: 9,
        error: { message: 'access denied: workspaces cannot communicate per hierarchy rules' },
      },
    ])
  })
})
