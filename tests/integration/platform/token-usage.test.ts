/** What agents say their answers have cost is added up by day (contract/platform 4.11). */
import { describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { TaskTracker } from '../../../apps/platform/src/services/task-tracker.ts'
import { UsageNotes } from '../../../apps/platform/src/services/usage-notes.ts'
import { answerWith, message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { startReplicaOf } from '../../support/platform-harness.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({})

const today = () => new Date().toISOString().slice(0, 10)
const saying = (messageId: string) => request({ params: { message: { ...message, messageId } } })

function answerCosting(usage: string, status = 200): void {
  const result = `{"kind":"message","usage":${usage}}`
  answerWith(status, 'application/json', `{"jsonrpc":"2.0","id":7,"result":${result}}`)
}

async function usage(query = '', of = workspace): Promise<unknown> {
  await platform.deps.tracker.drain()
  const answer = await platform.request(`/workspaces/${of.id}/metrics${query}`, {
    as: of.authToken,
  })
  const { token_usage: told } = (await answer.json()) as { token_usage?: unknown }
  return told
}

describe('GET /workspaces/:id/metrics', () => {
  it('says nothing of a workspace that has not answered, and 404 of one that is not there', async () => {
    expect(await usage()).toEqual([])
    const nobody = '/workspaces/00000000-0000-4000-8000-000000000000/metrics'
    expect((await platform.request(nobody)).status).toBe(404)
  })

  it('adds up what the answers of two replicas say at the same time', async () => {
    const replica = await startReplicaOf(platform)
    try {
      // Made when both are there: a replica that starts looks after the boxes that it finds.
      const shared = await platform.onlineWorkspace(box.url)
      answerCosting('{"input_tokens":100,"output_tokens":7}')
      const path = `/workspaces/${shared.id}/a2a`
      const sent = Array.from({ length: 24 }, (_, index) =>
        [platform, replica][index % 2]?.json(
          path,
          JSON.parse(saying(`m${index}`)),
          shared.authToken,
        ),
      )
      expect((await Promise.all(sent)).map((answer) => answer?.status)).not.toContain(401)
      await replica.deps.tracker.drain()
      await eventually(async () => JSON.stringify(await usage('', shared)).includes('"answers":24'))
      expect(await usage('', shared)).toEqual([
        { day: today(), input_tokens: 2_400, output_tokens: 168, answers: 24 },
      ])
    } finally {
      await replica.stop()
    }
  })

  it('counts no strings, nothing negative and nothing beyond reason', async () => {
    const wrong = ['"7"', '-1', '1.5', '1e300', '9007199254740993', '1000000001', 'null', '[1]']
    for (const [index, value] of wrong.entries()) {
      answerCosting(`{"input_tokens":${value},"output_tokens":${value}}`)
      expect((await send(saying(`w${index}`))).status).toBe(200)
    }
    expect(await usage()).toEqual([])
    answerCosting('{"input_tokens":-1,"output_tokens":7}')
    await send(saying('half'))
    expect(await usage()).toMatchObject([{ input_tokens: 0, output_tokens: 7, answers: 1 }])
    expect(platform.logLines().filter((line) => line.includes('background.failed'))).toEqual([])
  })

  it('counts an answer whose body cannot be stored', async () => {
    answerCosting('{"input_tokens":3,"output_tokens":4,"note":"a\\u0000b"}')
    await send(saying('m1'))
    expect(await usage()).toMatchObject([{ input_tokens: 3, output_tokens: 4 }])
  })

  it('counts a task once, however often it is read', async () => {
    const cost = '"usage":{"input_tokens":5,"output_tokens":1}'
    const task = `{"kind":"task","id":"t1","contextId":"c1","status":{"state":"working"},${cost}}`
    answerWith(200, 'application/json', `{"jsonrpc":"2.0","id":7,"result":${task}}`)
    await send(saying('m1'))
    const read = await send(request({ method: 'tasks/get', params: { id: 't1' } }))
    expect(await read.json()).toMatchObject({ result: { usage: { input_tokens: 5 } } })
    expect(await usage()).toMatchObject([{ input_tokens: 5, answers: 1 }])
  })

  it('tells of the days that are asked for, latest first', async () => {
    const at = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000)
    const id = workspaceIdSchema.parse(workspace.id)
    for (const daysAgo of [40, 2, 1, 0]) {
      const cost = { inputTokens: daysAgo + 1, outputTokens: 0 }
      platform.deps.usage.note(id, cost, at(daysAgo))
    }
    expect(await usage('?days=2')).toMatchObject([{ input_tokens: 1 }, { input_tokens: 2 }])
    expect(await usage()).toMatchObject([1, 2, 3].map((input_tokens) => ({ input_tokens })))
    for (const days of ['0', '367', 'x', '']) expect(await usage(`?days=${days}`)).toBeUndefined()
  })

  it('forgets a workspace that is purged', async () => {
    answerCosting('{"input_tokens":1,"output_tokens":1}')
    await send(saying('m1'))
    expect(await usage()).toHaveLength(1)
    await platform.request(`/workspaces/${workspace.id}?purge=true`, { method: 'DELETE' })
    const left = await platform.client.sql`
      SELECT day FROM workspace_token_usage WHERE workspace_id = ${workspace.id}`
    expect(left).toHaveLength(0)
  })
})

describe('UsageNotes', () => {
  it('write what comes at once with two statements, and nothing of a workspace that is gone', async () => {
    const failures: unknown[] = []
    const tracker = new TaskTracker((error) => failures.push(error))
    const notes = new UsageNotes({ db: platform.client.db, tracker })
    await platform.client.sql.unsafe(`
      CREATE TABLE usage_test_writes (workspace_id uuid);
      CREATE FUNCTION count_usage_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO usage_test_writes VALUES (NEW.workspace_id); RETURN NULL; END $$;
      CREATE TRIGGER count_usage_write AFTER INSERT OR UPDATE ON workspace_token_usage
        FOR EACH ROW EXECUTE FUNCTION count_usage_write();`)
    const cost = { inputTokens: 1_000_000_000, outputTokens: 2 }
    const ids = [workspace.id, '00000000-0000-4000-8000-000000000000']
    for (const id of ids.map((each) => workspaceIdSchema.parse(each))) {
      for (let index = 0; index < 50; index += 1) notes.note(id, cost, new Date())
    }
    await tracker.drain()
    expect(failures).toEqual([])
    expect(await usage()).toMatchObject([
      { input_tokens: 50_000_000_000, output_tokens: 100, answers: 50 },
    ])
    const writes = await platform.client.sql`SELECT workspace_id FROM usage_test_writes`
    expect(writes.map((row) => row['workspace_id'])).toEqual([workspace.id, workspace.id])
  })

  it('go on after one that could not be written', async () => {
    const failures: unknown[] = []
    const tracker = new TaskTracker((error) => failures.push(error))
    const notes = new UsageNotes({ db: platform.client.db, tracker })
    const id = workspaceIdSchema.parse(workspace.id)
    for (const inputTokens of [0.5, 3]) {
      notes.note(id, { inputTokens, outputTokens: 1 }, new Date())
      await tracker.drain()
    }
    expect(failures).toHaveLength(1)
    expect(await usage()).toMatchObject([{ input_tokens: 3, answers: 1 }])
  })

  it('stop where a sum would begin to round', async () => {
    await platform.client.sql`
      INSERT INTO workspace_token_usage (workspace_id, day, input_tokens, output_tokens, answers)
      VALUES (${workspace.id}, ${today()}, ${Number.MAX_SAFE_INTEGER - 1}, 0, 1)`
    answerCosting('{"input_tokens":5,"output_tokens":5}')
    await send(saying('m1'))
    expect(await usage()).toMatchObject([
      { input_tokens: Number.MAX_SAFE_INTEGER, output_tokens: 5, answers: 2 },
    ])
  })
})
