/** What a 0.3 agent lacks for a caller of 1.0: the platform answers in its place (contract/a2a 2.6). */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { LegacyAgent } from '../../support/legacy-agent.ts'
import { type PlatformHarness, startReplicaOf } from '../../support/platform-harness.ts'
import { platform } from '../../support/shared-platform.ts'
import { startWorkspaceServer } from '../../support/workspace-server.ts'

provideBoxedWorkspace({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

let agent: LegacyAgent
let count = 0

beforeEach(async () => {
  agent = new LegacyAgent()
  await agent.play()
})

const post = (
  method: string,
  params: object,
  headers: Record<string, string> = {},
  to = platform,
) =>
  to.request(`/a2a/${workspace.id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 9, method, params }),
    as: workspace.authToken,
  })

type Answer = { result?: Record<string, unknown>; error?: { code: number } }

async function ask(method: string, params: object): Promise<Answer> {
  const answer = await post(method, params)
  return (await answer.json()) as Answer
}

function message() {
  count += 1
  return { messageId: `m-${count}`, role: 'ROLE_USER', parts: [{ text: 'hi' }] }
}

const sendOne = () => ask('SendMessage', { message: message() })

async function listed(params: object = {}): Promise<{ ids: string[]; next: string; raw: Answer }> {
  const raw = await ask('ListTasks', params)
  const { tasks, nextPageToken } = raw.result as { tasks: { id: string }[]; nextPageToken: string }
  return { ids: tasks.map(({ id }) => id), next: nextPageToken, raw }
}

describe('ListTasks', () => {
  it('lists what was sent, the newest status first, page by page', async () => {
    for (let sent = 0; sent < 5; sent += 1) await sendOne()
    // Without waiting: whoever was answered finds the task.
    const { ids: all } = await listed()
    expect(all).toEqual([...agent.tasks.keys()].toReversed())
    const paged: string[] = []
    let pageToken = ''
    do {
      const page = await listed({ pageSize: 2, pageToken })
      paged.push(...page.ids)
      pageToken = page.next
      expect(page.raw.result).toMatchObject({ pageSize: 2, totalSize: 5 })
    } while (pageToken !== '')
    expect(paged).toEqual(all)
  })

  it('filters, limits the history and keeps artifacts back until they are asked for', async () => {
    agent.next = () => agent.newTask('completed', { contextId: 'other' })
    await sendOne()
    agent.next = () => agent.newTask()
    await sendOne()
    await eventually(async () => (await listed()).ids.length === 2)
    expect((await listed({ contextId: 'other' })).ids).toHaveLength(1)
    expect((await listed({ status: 'TASK_STATE_COMPLETED' })).ids).toHaveLength(1)
    const since = new Date(Date.now() + 60_000).toISOString()
    expect((await listed({ statusTimestampAfter: since })).ids).toHaveLength(0)
    const bare = ((await listed({ historyLength: 0 })).raw.result as { tasks: object[] }).tasks[0]
    expect(bare).not.toHaveProperty('history')
    expect(bare).not.toHaveProperty('artifacts')
    const whole = await listed({ historyLength: 1, includeArtifacts: true })
    expect(whole.raw.result?.['tasks']).toMatchObject([
      { history: [{ messageId: 'h3' }], artifacts: [{ artifactId: 'a' }] },
      {},
    ])
  })

  it('asks how tasks that were going on stand now', async () => {
    await sendOne()
    const [task] = agent.tasks.values()
    await eventually(async () => (await listed()).ids.length === 1)
    if (task !== undefined) task.status = { state: 'completed' }
    await platform.client.sql`UPDATE a2a_tasks SET updated_at = now() - interval '1 minute'`
    const { raw } = await listed()
    expect(raw.result?.['tasks']).toMatchObject([{ status: { state: 'TASK_STATE_COMPLETED' } }])
  })

  const token = (...place: unknown[]) => Buffer.from(JSON.stringify(place)).toString('base64url')

  it.each([
    ...[{ pageSize: 0 }, { pageSize: 101 }, { pageToken: 'x' }, { status: 'nonsense' }],
    ...[{ pageToken: token(9e15, 't') }, { pageToken: token(-8e15, 't') }],
    ...[{ pageToken: token(1, 'a\0b') }, { statusTimestampAfter: '+200000-01-01T00:00:00Z' }],
    { contextId: 'a\0b' },
  ])('refuses %j', async (params) => {
    expect(await ask('ListTasks', params)).toMatchObject({ error: { code: -32602 } })
  })
})

describe('historyLength', () => {
  it.each([
    [0, undefined],
    [2, ['h2', 'h3']],
    [undefined, ['h1', 'h2', 'h3']],
  ])('of %s is kept to in sends and gets', async (historyLength, expected) => {
    const sent = await ask('SendMessage', { message: message(), configuration: { historyLength } })
    const [task] = agent.tasks.values()
    const got = await ask('GetTask', { id: task?.id, historyLength })
    for (const told of [sent.result?.['task'], got.result]) {
      const { history } = told as { history?: { messageId: string }[] }
      expect(history?.map(({ messageId }) => messageId)).toEqual(expected)
    }
  })
})

const streamOf = (response: Response) => {
  let text = ''
  let isOver = false
  void (async () => {
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += piece
    }
    isOver = true
  })()
  return { text: () => text, isOver: () => isOver }
}

describe('a stream', () => {
  it('begins with the task, and can be taken up again with everything in between', async () => {
    const task = agent.newTask()
    const answer = await post('SendStreamingMessage', { message: message() })
    const first = streamOf(answer)
    const upstream = await eventually(() => agent.streams[0])
    upstream.write(agent.status(task, 'working'))
    await eventually(() => first.text().includes('statusUpdate'))
    expect(first.text()).toMatch(/^data: \{.*"task":\{"id"/)
    expect(first.text()).toContain(`id: ${task.id}:1\ndata: `)
    await answer.body?.cancel().catch(() => undefined)
    const artifact = { artifactId: 'late', parts: [{ kind: 'text', text: 'x' }] }
    const { id: taskId, contextId } = task
    upstream.write(agent.frame({ kind: 'artifact-update', taskId, contextId, artifact }))
    const again = await post(
      'SubscribeToTask',
      { id: task.id },
      { 'last-event-id': `${task.id}:1` },
    )
    const second = streamOf(again)
    await eventually(() => second.text().includes('late'))
    upstream.end(agent.status(task, 'completed', true))
    await eventually(() => second.isOver())
    const events = second.text().trim().split('\n\n')
    expect(events).toHaveLength(3)
    expect(events[0]).toContain('"urn:atrium:a2a:replayed-from":1')
    expect(events.slice(1).map((each) => each.split('\n')[0])).toEqual([
      ...[`id: ${task.id}:2`, `id: ${task.id}:3`],
    ])
    // One stream at the agent for all readers.
    expect(agent.streams).toHaveLength(1)
  })

  it('is refused as JSON for a task that has ended, or that is not there', async () => {
    const task = agent.newTask('completed')
    expect(await ask('SubscribeToTask', { id: task.id })).toMatchObject({ error: { code: -32004 } })
    expect(await ask('SubscribeToTask', { id: 'nothing' })).toMatchObject({
      error: { code: -32001 },
    })
    expect(agent.streams).toHaveLength(0)
  })
})

describe('a webhook', () => {
  it('is kept here and called in the words of its caller', async () => {
    const hook = await startWorkspaceServer()
    try {
      const task = agent.newTask()
      const config = { taskId: task.id, id: 'c1', url: `${hook.url}/h`, token: 'tok' }
      const authentication = { scheme: 'Bearer', credentials: 'secret' }
      const set = await ask('CreateTaskPushNotificationConfig', { ...config, authentication })
      expect(set.result).toEqual({ ...config, authentication: { scheme: 'Bearer' } })
      const methods = agent.asked.map(({ method }) => method)
      expect(methods.filter((method) => method.includes('pushNotification'))).toEqual([])
      expect(await ask('GetTaskPushNotificationConfig', { taskId: task.id, id: 'c1' })).toEqual({
        ...{ jsonrpc: '2.0', id: 9, result: set.result },
      })
      const upstream = await eventually(() => agent.streams[0])
      upstream.end(agent.status(task, 'completed', true))
      await eventually(() => hook.requests.length >= 2)
      expect(hook.requests.at(-1)?.headers).toMatchObject({
        ...{ authorization: 'Bearer secret', 'a2a-version': '1.0' },
      })
      expect(JSON.parse(String(hook.requests.at(-1)?.body))).toMatchObject({
        statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } },
      })
      await ask('DeleteTaskPushNotificationConfig', { taskId: task.id, id: 'c1' })
      const list = await ask('ListTaskPushNotificationConfigs', { taskId: task.id })
      expect(list.result).toEqual({ configs: [], nextPageToken: '' })
    } finally {
      await hook.close()
    }
  })

  it('is refused for a task that is not there, and at an address that is none', async () => {
    const url = 'http://example.invalid/'
    expect(
      await ask('CreateTaskPushNotificationConfig', { taskId: 'nothing', id: 'c', url }),
    ).toMatchObject({ error: { code: -32001 } })
    const task = agent.newTask('completed')
    expect(
      await ask('CreateTaskPushNotificationConfig', { taskId: task.id, id: 'c', url: 'ftp://x/' }),
    ).toMatchObject({ error: { code: -32602 } })
  })

  it('that comes with a message is called here, and the agent is not told of it', async () => {
    const hook = await startWorkspaceServer()
    try {
      agent.next = () => agent.newTask('completed')
      const taskPushNotificationConfig = { url: `${hook.url}/h`, token: 'tok' }
      const configuration = { taskPushNotificationConfig, historyLength: 1 }
      await ask('SendMessage', { message: message(), configuration })
      await eventually(() => hook.requests.length === 2)
      expect(hook.requests[1]?.headers['x-a2a-notification-token']).toBe('tok')
      expect(JSON.stringify(agent.asked)).not.toContain('/h')
      const task = agent.newTask()
      await post('SendStreamingMessage', { message: message(), configuration })
      const upstream = await eventually(() => agent.streams[0])
      upstream.end(agent.status(task, 'completed', true))
      await eventually(() => hook.requests.length === 3)
    } finally {
      await hook.close()
    }
  })

  it('that comes with a message to an address that is none is refused before it is sent', async () => {
    const taskPushNotificationConfig = { url: 'file:///etc/passwd' }
    const configuration = { taskPushNotificationConfig }
    const answer = await ask('SendMessage', { message: message(), configuration })
    expect(answer).toMatchObject({ error: { code: -32602 } })
    expect(agent.asked).toEqual([])
  })
})

describe('a stream at another platform', () => {
  let other: PlatformHarness
  // Before the workspaces: one that starts gives those of its machine new boxes.
  beforeAll(async () => {
    other = await startReplicaOf(platform)
  })
  afterAll(() => other.stop())

  it('is taken up again at the reader’s place, and goes on as it is told elsewhere', async () => {
    const task = agent.newTask()
    const answer = await post('SendStreamingMessage', { message: message() })
    const upstream = await eventually(() => agent.streams[0])
    upstream.write(agent.status(task, 'working') + agent.status(task, 'working'))
    const key = { workspaceId: workspaceIdSchema.parse(workspace.id), taskId: task.id }
    await eventually(async () => ((await other.deps.streams.find(key))?.lastSeq ?? 0) >= 2)
    await answer.body?.cancel().catch(() => undefined)
    const place = { 'last-event-id': `${task.id}:1` }
    const again = streamOf(await post('SubscribeToTask', { id: task.id }, place, other))
    await eventually(() => again.text().includes(`id: ${task.id}:2\n`))
    upstream.end(agent.status(task, 'completed', true))
    await eventually(() => again.isOver())
    const events = again.text().trim().split('\n\n')
    expect(events[0]).toContain('"urn:atrium:a2a:replayed-from":1')
    expect(events.slice(1).map((each) => each.split('\n')[0])).toEqual([
      ...[`id: ${task.id}:2`, `id: ${task.id}:3`],
    ])
    expect(events.at(-1)).toContain('TASK_STATE_COMPLETED')
    expect(agent.streams).toHaveLength(1)
  })
})
