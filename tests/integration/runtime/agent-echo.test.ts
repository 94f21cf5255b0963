import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Role, type SendMessageRequest, TaskState } from '@a2a-js/sdk'
import { type Client, ClientFactory, JsonRpcTransportFactory } from '@a2a-js/sdk/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRuntime, startAgentRuntime, userMessage } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'

let runtime: AgentRuntime

beforeAll(async () => {
  runtime = await startAgentRuntime()
})

afterAll(() => runtime.close())

const bytes = (name: string) => {
  writeFileSync(join(runtime.folders.workspace, name), name)
  return `workspace:/workspace/${name}`
}

describe('the echo agent and a raw 0.3 client', () => {
  it('answers a waiting caller with one message', async () => {
    const { result } = await runtime.call(
      'message/send',
      userMessage('hello', [], { contextId: 'ctx-1' }),
    )
    expect(result).toMatchObject({
      kind: 'message',
      role: 'agent',
      contextId: 'ctx-1',
      parts: [{ kind: 'text', text: 'hello' }],
    })
  })

  it.each([
    ['workspace:', (name: string) => bytes(name)],
    [
      'file:',
      (name: string) => `file:///workspace/${encodeURIComponent(name)}${bytes(name) && ''}`,
    ],
    ['bare', (name: string) => bytes(name).slice('workspace:'.length)],
  ])('gives a file back that was referred to by a %s uri, after the text', async (_, uriOf) => {
    const file = { uri: uriOf('a b ü.csv'), name: 'report.csv', mimeType: 'text/csv' }
    const { result } = await runtime.call('message/send', userMessage('see', [file]))
    expect(result?.['parts']).toEqual([
      { kind: 'text', text: 'see' },
      {
        kind: 'file',
        file: { uri: 'workspace:/workspace/a b ü.csv', name: 'report.csv', mimeType: 'text/csv' },
      },
    ])
  })

  it('takes files without a text, and finds a name and a type for them', async () => {
    const uri = bytes(`${'0a'.repeat(16)}-data.json`)
    const { result } = await runtime.call('message/send', userMessage('', [{ uri }]))
    expect(result?.['parts']).toEqual([
      { kind: 'file', file: { uri, name: 'data.json', mimeType: 'application/json' } },
    ])
  })

  it('says so when a message is empty', async () => {
    const { result } = await runtime.call(
      'message/send',
      userMessage('', [], { parts: [{ kind: 'text', text: '' }] }),
    )
    expect(result?.['parts']).toMatchObject([{ text: 'Error: message contained no text content.' }])
  })

  it.each([
    ['is not there', 'workspace:/workspace/none.txt', 'file not found'],
    ['lies in another root', 'workspace:/configs/config.yaml', 'only files under /workspace'],
    ['is a credential', 'workspace:/configs/.auth_token', 'only files under /workspace'],
    ['climbs', 'workspace:/workspace/../configs/.auth_token', 'only files under /workspace'],
    ['lies on the web', 'https://example.org/x.txt', 'only files under /workspace'],
    ['has no path', 'workspace:x.txt', 'only files under /workspace'],
    ['is a broken escape', 'file:///workspace/%zz', 'only files under /workspace'],
    ['is a folder', 'workspace:/workspace/.', 'only files under /workspace'],
  ])('fails and names the attachment when it %s', async (_, uri, reason) => {
    const { result } = await runtime.call(
      'message/send',
      userMessage('x', [{ uri, name: 'n.txt' }]),
    )
    expect(result).toMatchObject({ kind: 'message', role: 'agent' })
    expect(JSON.stringify(result?.['parts'])).toContain(
      `Agent error: attachment \\"n.txt\\": ${reason}`,
    )
  })

  it('streams a task: submitted, working, artifact, completed', async () => {
    const seen: unknown[] = []
    for await (const { result } of runtime.stream('message/stream', userMessage('hello'))) {
      const event = result as { kind: string; status?: { state: string }; final?: boolean }
      seen.push([event.kind, event.status?.state, event.final])
    }
    expect(seen).toEqual([
      ['task', 'submitted', undefined],
      ['status-update', 'working', false],
      ['artifact-update', undefined, undefined],
      ['status-update', 'completed', true],
    ])
  })

  it('lets a caller wait who does not say whether it wants to', async () => {
    const params = {
      ...userMessage('wait'),
      configuration: { acceptedOutputModes: ['text/plain'] },
    }
    const { result } = await runtime.call('message/send', params)
    expect(result).toMatchObject({ kind: 'message', parts: [{ text: 'wait' }] })
  })

  it('keeps the task for who did not want to wait', async () => {
    const params = { ...userMessage('later'), configuration: { blocking: false } }
    const { result } = await runtime.call('message/send', params)
    expect(result?.['kind']).toBe('task')
    const task = await eventually(async () => {
      const { result: now } = await runtime.call('tasks/get', { id: result?.['id'] })
      return JSON.stringify(now).includes('"completed"') && now
    })
    expect(task).toMatchObject({ artifacts: [{ artifactId: 'reply', parts: [{ text: 'later' }] }] })
  })

  it('counts what failed for the heartbeat', () => {
    const { requests, errors, sampleError, activeTasks } = runtime.plane.meter.report()
    expect(requests).toBeGreaterThan(errors)
    expect(errors).toBeGreaterThan(0)
    expect(sampleError).toMatch(/^Agent error: attachment "n\.txt"/)
    expect(activeTasks).toBe(0)
  })
})

describe('the echo agent and the official 1.0 client', () => {
  let client: Client

  beforeAll(async () => {
    const fetchImpl: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers)
      headers.set('authorization', `Bearer ${runtime.inboundSecret}`)
      return fetch(input, { ...init, headers })
    }
    const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory({ fetchImpl })] })
    client = await factory.createFromUrl(runtime.url)
  })

  function request(text: string, uri?: string): SendMessageRequest {
    const part = { metadata: undefined, filename: '', mediaType: '' }
    const file = {
      content: { $case: 'url', value: uri ?? '' },
      ...part,
      filename: 'x.csv',
    } as const
    return {
      tenant: '',
      message: {
        messageId: `m-${text}`,
        contextId: '',
        taskId: '',
        role: Role.ROLE_USER,
        parts: [
          { content: { $case: 'text', value: text }, ...part },
          ...(uri === undefined ? [] : [file]),
        ],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      },
      configuration: undefined,
      metadata: undefined,
    }
  }

  it('sends and gets one message, text and file', async () => {
    const uri = bytes('one.csv')
    const answer = await client.sendMessage(request('one', uri))
    expect(answer).toMatchObject({
      role: Role.ROLE_AGENT,
      parts: [
        { content: { $case: 'text', value: 'one' } },
        { content: { $case: 'url', value: uri }, filename: 'x.csv', mediaType: 'text/csv' },
      ],
    })
  })

  it('streams, and finds the task afterwards', async () => {
    const kinds: string[] = []
    let taskId = ''
    for await (const event of client.sendMessageStream(request('two'))) {
      kinds.push(event.payload?.$case ?? '')
      if (event.payload?.$case === 'task') taskId = event.payload.value.id
    }
    expect(kinds).toEqual(['task', 'statusUpdate', 'artifactUpdate', 'statusUpdate'])
    const task = await client.getTask({ tenant: '', id: taskId, historyLength: undefined })
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED)
    expect(task.artifacts[0]?.parts).toMatchObject([{ content: { value: 'two' } }])
  })
})

describe('listing tasks', () => {
  it('pages through them, latest first, without artifacts unless asked', async () => {
    const listing = await startAgentRuntime()
    try {
      for (const text of ['a', 'b', 'c']) {
        for await (const _ of listing.stream(
          'message/stream',
          userMessage(text, [], { contextId: 'l' }),
        )) {
          // To the end.
        }
      }
      const first = await listing.call('ListTasks', { contextId: 'l', pageSize: 2 })
      expect(first.result).toMatchObject({ totalSize: 3, pageSize: 2 })
      const { tasks, nextPageToken } = first.result as {
        tasks: { id: string }[]
        nextPageToken: string
      }
      const second = await listing.call('ListTasks', {
        contextId: 'l',
        pageSize: 2,
        pageToken: nextPageToken,
        includeArtifacts: true,
      })
      const rest = second.result as {
        tasks: { id: string; artifacts: unknown[] }[]
        nextPageToken: string
      }
      expect([tasks.length, rest.tasks.length, rest.nextPageToken]).toEqual([2, 1, ''])
      expect(rest.tasks[0]?.artifacts).toHaveLength(1)
      expect(new Set([...tasks, ...rest.tasks].map((task) => task.id)).size).toBe(3)
      expect((await listing.call('ListTasks', { contextId: 'none' })).result).toMatchObject({
        totalSize: 0,
      })
    } finally {
      await listing.close()
    }
  })
})
