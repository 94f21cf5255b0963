/** Tasks that no agent can be asked about: they are listed, and their senders' webhooks are called. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type ExternalWorkspace, externalWorkspace } from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

sharePlatform({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

type Json = Record<string, unknown>

let poller: ExternalWorkspace
let sender: ExternalWorkspace
let hook: WorkspaceServer
beforeEach(async () => {
  poller = await externalWorkspace()
  sender = await externalWorkspace()
  hook = await startWorkspaceServer()
})
afterEach(() => hook.close())

async function call(method: string, params: object, as = sender.authToken): Promise<Json> {
  const body = { jsonrpc: '2.0', id: 1, method, params }
  const answer = await platform.json(`/a2a/${poller.id}`, body, as)
  return (await answer.json()) as Json
}

async function send(configuration?: object): Promise<string> {
  const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: 'hi' }] }
  const { queue_id: id } = await call('SendMessage', {
    message,
    ...(configuration === undefined ? {} : { configuration }),
  })
  return String(id)
}

const reply = (id: string, body: object): Promise<Response> =>
  platform.json(`/workspaces/${poller.id}/a2a/queue/${id}/reply`, body, poller.authToken)

const hookUrl = (): string => `${hook.url}/hook`

const told = (): Json[] => hook.requests.map(({ body }) => JSON.parse(body.toString()) as Json)

describe('the webhook of a message that its agent fetches', () => {
  it.each(['set while it waits', 'brought by the message'])(
    'is told of the end: %s',
    async (how) => {
      const config = { url: hookUrl(), token: 'my-token' }
      const id = await send(
        how.startsWith('set') ? undefined : { taskPushNotificationConfig: config },
      )
      if (how.startsWith('set')) {
        const set = await call('CreateTaskPushNotificationConfig', { taskId: id, ...config })
        expect(set).toMatchObject({ result: { taskId: id, url: hookUrl() } })
      }
      expect(await call('ListTaskPushNotificationConfigs', { taskId: id })).toMatchObject({
        result: { configs: [{ taskId: id, url: hookUrl() }] },
      })
      await reply(id, { text: 'done' })
      await eventually(() => hook.requests.length > 0)
      expect(told()).toMatchObject([{ task: { id, status: { state: 'TASK_STATE_COMPLETED' } } }])
      expect(hook.requests[0]?.headers).toMatchObject({
        'x-a2a-notification-token': 'my-token',
        'a2a-version': '1.0',
      })
    },
  )

  it('is told in its own dialect, and of a message that was dropped too', async () => {
    const id = await send()
    const pushNotificationConfig = { url: hookUrl() }
    await call('tasks/pushNotificationConfig/set', { taskId: id, pushNotificationConfig })
    await call('tasks/cancel', { id })
    await eventually(() => hook.requests.length > 0)
    expect(told()).toMatchObject([{ kind: 'task', id, status: { state: 'canceled' } }])
  })

  it('is told once, and of its own task only', async () => {
    const [first, second] = [await send(), await send()]
    await call('CreateTaskPushNotificationConfig', { taskId: first, url: hookUrl() })
    await reply(second, { text: 'not this' })
    await reply(first, { text: 'this' })
    await eventually(() => hook.requests.length > 0)
    await eventually(async () => (await rowsOf(first)).length === 0)
    expect(told()).toMatchObject([{ task: { id: first } }])
  })

  it('is not to be set by somebody else, nor where it may not be', async () => {
    const id = await send()
    const other = await externalWorkspace()
    expect(
      await call(
        'CreateTaskPushNotificationConfig',
        { taskId: id, url: hookUrl() },
        other.authToken,
      ),
    ).toMatchObject({ error: { code: -32001 } })
    expect(
      await call('CreateTaskPushNotificationConfig', { taskId: id, url: 'ftp://example.com/' }),
    ).toMatchObject({ error: { code: -32602 } })
    expect(await call('ListTaskPushNotificationConfigs', { taskId: id })).toMatchObject({
      result: { configs: [] },
    })
  })
})

/** Notifications that wait, and webhooks that wait for an end. */
const rowsOf = (taskId: string) => platform.client.sql`
  SELECT task_id FROM a2a_push_outbox WHERE task_id = ${taskId}
  UNION ALL
  SELECT task_id FROM a2a_push_configs WHERE task_id = ${taskId} AND delivery_id IS NOT NULL`

describe('the list of tasks of an agent that fetches them', () => {
  it('has what waits and what was answered, the newest status first, page by page', async () => {
    const ids = [await send(), await send(), await send()]
    await reply(String(ids[0]), { text: 'done' })
    const { result } = await call('ListTasks', { pageSize: 2 })
    expect(result).toMatchObject({
      tasks: [
        { id: ids[0], status: { state: 'TASK_STATE_COMPLETED' } },
        { id: ids[2], status: { state: 'TASK_STATE_SUBMITTED' } },
      ],
      totalSize: 3,
    })
    const { nextPageToken: pageToken } = result as Json
    expect(await call('ListTasks', { pageSize: 2, pageToken })).toMatchObject({
      result: { tasks: [{ id: ids[1] }], nextPageToken: '' },
    })
    expect(await call('ListTasks', { status: 'TASK_STATE_COMPLETED' })).toMatchObject({
      result: { tasks: [{ id: ids[0] }], totalSize: 1 },
    })
  })

  it('shows nobody what somebody else has sent, but to who runs the workspace', async () => {
    const id = await send()
    const other = await externalWorkspace()
    expect(await call('ListTasks', {}, other.authToken)).toMatchObject({ result: { tasks: [] } })
    const body = { jsonrpc: '2.0', id: 1, method: 'ListTasks', params: {} }
    const seen = (await (await platform.json(`/a2a/${poller.id}`, body)).json()) as Json
    expect(seen).toMatchObject({ result: { tasks: [{ id }] } })
  })
})
