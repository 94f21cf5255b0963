import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { pruneActivity } from '../../../apps/platform/src/services/prune-activity.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
  notify,
  report,
} from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let workspace: ExternalWorkspace
beforeEach(async () => {
  workspace = await externalWorkspace()
})

describe('POST /workspaces/:id/activity', () => {
  it.each([
    'a2a_send',
    'a2a_receive',
    'task_update',
    'agent_log',
    'skill_promotion',
    'memory_write',
    'error',
  ])('logs %s as said by the workspace itself', async (type) => {
    const answer = await report(workspace, { activity_type: type, metadata: { a: 1 } })
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'logged' }])
    expect(await feed(workspace)).toMatchObject([
      { activity_type: type, source_id: workspace.id, status: 'ok', request_body: { a: 1 } },
    ])
  })

  it('logs every field as it was said', async () => {
    const said = {
      activity_type: 'a2a_send',
      source_id: workspace.id,
      target_id: randomUUID(),
      method: 'message/send',
      summary: 'asked',
      status: 'error',
      error_detail: 'nobody there',
      duration_ms: 1234,
      request_body: { task: 'x' },
      response_body: { result: 'y' },
    }
    await report(workspace, { ...said, metadata: { not: 'this' } })
    const [row] = await feed(workspace)
    expect(row).toEqual({
      ...said,
      id: expect.any(String),
      workspace_id: workspace.id,
      created_at: expect.any(String),
    })
  })

  it.each([
    [{ source_id: '' }, { source_id: 'own' }],
    [
      { source_id: null, status: '', target_id: '' },
      { status: 'ok', target_id: null },
    ],
    [{ request_body: null, metadata: { a: 1 } }, { request_body: { a: 1 } }],
    [{ request_body: false, metadata: { a: 1 } }, { request_body: false }],
    [{ summary: 'a\u0000b\ud800' }, { summary: 'ab\ufffd' }],
  ])('takes %j for %j', async (said, logged) => {
    expect((await report(workspace, said)).status).toBe(200)
    const own = { source_id: workspace.id }
    expect(await feed(workspace)).toMatchObject([{ ...logged, ...own }])
  })

  const TYPES =
    'invalid activity_type, must be one of: a2a_send, a2a_receive, task_update, agent_log, skill_promotion, memory_write, error'
  const FOREIGN = 'source_id must match authenticated workspace'

  it.each([
    [{ activity_type: 'delegation' }, 400, TYPES],
    [{ activity_type: '' }, 400, TYPES],
    [{ activity_type: undefined }, 400, TYPES],
    [{ activity_type: null }, 400, TYPES],
    [{ source_id: randomUUID() }, 403, FOREIGN],
    [{ source_id: 'x\nforged' }, 403, FOREIGN],
    [{ target_id: 'x' }, 400, 'invalid request body'],
    [{ duration_ms: 1.5 }, 400, 'invalid request body'],
    [{ duration_ms: 2 ** 31 }, 400, 'invalid request body'],
    [{ summary: 7 }, 400, 'invalid request body'],
    [{ request_body: { text: 'a\u0000b' } }, 400, 'invalid request body'],
    [{ summary: 'x'.repeat(1024 * 1024) }, 413, 'payload too large'],
  ])('refuses %.60j and logs nothing', async (fields, status, error) => {
    const answer = await report(workspace, fields)
    expect([answer.status, await answer.json()]).toMatchObject([status, { error }])
    expect(await feed(workspace)).toEqual([])
    expect(platform.logLines().filter((line) => line.startsWith('forged'))).toEqual([])
  })

  it('lets an operator speak for no other workspace either, nor for one that is not there', async () => {
    const say = (id: string, source_id?: string) =>
      platform.json(`/workspaces/${id}/activity`, { activity_type: 'agent_log', source_id })
    expect((await say(workspace.id, randomUUID())).status).toBe(403)
    expect((await say(workspace.id)).status).toBe(200)
    expect((await say(randomUUID())).status).toBe(404)
  })

  it('does not claim to have logged what it could not', async () => {
    await platform.client
      .sql`ALTER TABLE activity_logs ADD CONSTRAINT full_disk CHECK (summary <> 'x')`
    try {
      expect((await report(workspace, { summary: 'x' })).status).toBe(500)
    } finally {
      await platform.client.sql`ALTER TABLE activity_logs DROP CONSTRAINT full_disk`
    }
  })
})

describe('POST /workspaces/:id/notify', () => {
  it('keeps a text for the people of the workspace', async () => {
    const answer = await notify(workspace, { message: 'done' })
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'sent' }])
    expect(await feed(workspace, 'source=canvas')).toMatchObject([
      { activity_type: 'a2a_receive', method: 'notify', response_body: { result: 'done' } },
    ])
    const [row] = await feed(workspace)
    expect(row?.response_body).toEqual({ result: 'done' })
    expect(row).not.toHaveProperty('request_body')
  })

  it('keeps attachments as file parts, and no parts where there are none', async () => {
    const file = { uri: 'workspace:/tmp/x', name: 'x.txt', mimeType: 'text/plain', size: 7 }
    await notify(workspace, { message: 'look', attachments: [file, { uri: 'a', name: 'b' }] })
    await notify(workspace, { message: 'nothing', attachments: [] })
    const [empty, full] = await feed(workspace)
    expect(full?.response_body).toEqual({
      result: 'look',
      parts: [
        { kind: 'file', file },
        { kind: 'file', file: { uri: 'a', name: 'b' } },
      ],
    })
    expect(empty?.response_body).toEqual({ result: 'nothing' })
  })

  it('keeps an attachment whose names hold what PostgreSQL does not', async () => {
    const names = { uri: 'a\u0000', name: 'b\u0000', mimeType: 'c\ud800' }
    expect((await notify(workspace, { message: 'x', attachments: [names] })).status).toBe(200)
    const [row] = await feed(workspace)
    const file = { uri: 'a', name: 'b', mimeType: 'c\ufffd' }
    expect(row?.response_body?.['parts']).toEqual([{ kind: 'file', file }])
  })

  it.each([
    [{}, 'message is required'],
    [{ message: '' }, 'message is required'],
    [{ message: 7 }, 'message is required'],
    [{ message: 'x', attachments: 'a' }, 'invalid request body'],
    [
      { message: 'x', attachments: [{ uri: 'a', name: 'b', size: 'large' }] },
      'invalid request body',
    ],
    [{ message: 'x', attachments: ['a'] }, 'attachment[0]: uri and name are required'],
    [
      { message: 'x', attachments: [{ uri: '', name: '' }] },
      'attachment[0]: uri and name are required',
    ],
    [
      { message: 'x', attachments: [{ uri: 'a', name: 'b' }, { uri: 'c' }] },
      'attachment[1]: uri and name are required',
    ],
  ])('refuses %j', async (body, error) => {
    const answer = await notify(workspace, body)
    expect([answer.status, await answer.json()]).toMatchObject([400, { error }])
    expect(await feed(workspace)).toEqual([])
  })

  it('previews eighty characters and never half of one', async () => {
    const text = `${'x'.repeat(79)}😀😀\u0000`
    expect((await notify(workspace, { message: text })).status).toBe(200)
    const [row] = await feed(workspace)
    expect(row?.summary).toBe(`Agent message: ${'x'.repeat(79)}😀`)
  })

  it('recognises what an agent says again under the same key, also at once', async () => {
    const body = { message: 'once', idempotency_key: 'row-1' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => notify(workspace, body)))
    const said = await Promise.all(answers.map((answer) => answer.json()))
    expect(said.filter((each) => !('duplicate' in (each as object)))).toHaveLength(1)
    expect(await feed(workspace)).toHaveLength(1)
    const other = await externalWorkspace()
    await notify(other, body)
    expect(await feed(other)).toHaveLength(1)
  })

  it('has nobody to tell when the workspace is gone, or was never there', async () => {
    await platform.request(`/workspaces/${workspace.id}`, { method: 'DELETE' })
    for (const id of [workspace.id, randomUUID()]) {
      const answer = await platform.json(`/workspaces/${id}/notify`, { message: 'x' })
      const error = 'workspace not found'
      expect([answer.status, await answer.json()]).toMatchObject([404, { error }])
    }
  })

  it('does not claim to have sent what it could not keep', async () => {
    const { sql } = platform.client
    await sql`ALTER TABLE activity_logs ADD CONSTRAINT full_disk CHECK (summary <> 'Agent message: lost')`
    try {
      expect((await notify(workspace, { message: 'lost' })).status).toBe(500)
    } finally {
      await sql`ALTER TABLE activity_logs DROP CONSTRAINT full_disk`
    }
  })
})

describe('who follows the events of the workspace', () => {
  it('is told of every row without its bodies, and of what an agent says', async () => {
    const client = await openEventStream({
      url: `${platform.url}/workspaces/${workspace.id}/events/stream`,
      bearer: workspace.authToken,
    })
    await eventually(() => client.frames.length >= 2)
    await report(workspace, { summary: 'worked', request_body: { private: 'x' } })
    const file = { uri: 'workspace:/workspace/r.md', name: 'r.md' }
    const said = { message: 'done', attachments: [file], idempotency_key: 'k' }
    await notify(workspace, said)
    await notify(workspace, said)
    await report(workspace, { summary: 'last' })
    const types = await client.until(4)
    expect(types).toEqual([
      'ACTIVITY_LOGGED',
      'ACTIVITY_LOGGED',
      'AGENT_MESSAGE',
      'ACTIVITY_LOGGED',
    ])
    const told = client.frames.flatMap(({ data }) => (data === undefined ? [] : [data]))
    const rows = await feed(workspace, 'from=start')
    expect(told).toMatchObject([
      { data: { id: rows[0]?.id, activity_type: 'agent_log', summary: 'worked' } },
      { data: { id: rows[1]?.id, method: 'notify', source_id: null } },
      { data: { message: 'done', workspace_id: workspace.id, attachments: [file] } },
      { data: { summary: 'last' } },
    ])
    expect(JSON.stringify(told)).not.toContain('private')
    client.close()
  })
})

describe('the activity log', () => {
  it('moves the last activity of its workspace, never back', async () => {
    const read = async () => {
      const rows = await platform.client.sql`
        SELECT last_activity_at AS at FROM workspaces WHERE id = ${workspace.id}`
      return rows[0]?.['at'] as string | null
    }
    expect(await read()).toBeNull()
    await report(workspace)
    expect(await read()).not.toBeNull()
    await platform.client.sql`
      UPDATE workspaces SET last_activity_at = '2100-01-01' WHERE id = ${workspace.id}`
    await report(workspace)
    expect(await read()).toMatch(/^2100-01-01/)
  })

  it('loses what is older than its retention, batch by batch, and nothing else', async () => {
    await platform.client.sql`
      INSERT INTO activity_logs (id, workspace_id, seq, activity_type, status, created_at)
      SELECT gen_random_uuid(), ${workspace.id}, n, 'agent_log', 'ok', now() - interval '8 days'
        FROM generate_series(101, 4600) AS n`
    await report(workspace, { summary: 'young' })
    const signal = new AbortController().signal
    const passes = await Promise.all([1, 2].map(() => pruneActivity(platform.deps, signal)))
    expect(passes.reduce((total, { deleted }) => total + deleted, 0)).toBe(4500)
    expect(await feed(workspace)).toMatchObject([{ summary: 'young' }])
  })
})
