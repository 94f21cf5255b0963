import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Artifact,
  type Message,
  Role,
  type SendMessageRequest,
  type StreamResponse,
  type Task,
  TaskState,
} from '@a2a-js/sdk'
import { type Client, ClientFactory, JsonRpcTransportFactory } from '@a2a-js/sdk/client'
import { parseLegacyAgentCard } from '@a2a-js/sdk/compat/v0_3/client'
import {
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
} from '@a2a-js/sdk/errors'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AgentRuntime, startAgentRuntime } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'

/** Does what it is told: fail, wait until it is released, or give everything back. */
const SCRIPT = `
  const fs = require('node:fs'), text = fs.readFileSync(0, 'utf8')
  if (text === 'fail') { console.error('because'); process.exit(3) }
  for (const { path, name } of JSON.parse(process.env.ATRIUM_ATTACHMENTS)) {
    fs.copyFileSync(path, 'output/' + name)
  }
  console.log(text)
  const isReleased = () => fs.existsSync(process.env.ATRIUM_WORKSPACE_DIR + '/released')
  const timer = setInterval(() => {
    if (text === 'wait' && !isReleased()) return
    clearInterval(timer)
    if (text === 'wait') console.log('done')
  }, 20)`

let runtime: AgentRuntime

beforeAll(async () => {
  const runtimeConfig = { command: process.execPath, args: ['-e', SCRIPT], concurrency: 2 }
  runtime = await startAgentRuntime({ config: JSON.stringify({ runtime_config: runtimeConfig }) })
})

afterAll(() => runtime.close())

const released = () => join(runtime.folders.workspace, 'released')
const release = () => writeFileSync(released(), '')

beforeEach(() => rmSync(released(), { force: true }))

const CARD_PATH = '/.well-known/agent-card.json'

/** The official client that has read the card of that version, and speaks what stands in it. */
async function clientOf(version: '0.3' | '1.0'): Promise<Client> {
  const fetchImpl: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${runtime.inboundSecret}`)
    return fetch(input, { ...init, headers })
  }
  const legacyCompat = { enabled: version === '0.3' }
  const transports = [new JsonRpcTransportFactory({ fetchImpl, legacyCompat })]
  const factory = new ClientFactory({ transports })
  if (version === '1.0') return factory.createFromUrl(runtime.url)
  const card = await fetch(runtime.url + CARD_PATH, { headers: { 'a2a-version': version } })
  return factory.createFromAgentCard(parseLegacyAgentCard(await card.json()))
}

const PART = { metadata: undefined, filename: '', mediaType: '' } as const

function request(
  text: string,
  options: { readonly bytes?: string; readonly isLater?: boolean; readonly taskId?: string } = {},
): SendMessageRequest {
  const { bytes, isLater = false, taskId = '' } = options
  const file = {
    ...PART,
    content: { $case: 'raw', value: Buffer.from(bytes ?? '') },
    filename: 'in.csv',
    mediaType: 'text/csv',
  } as const
  return {
    tenant: '',
    message: {
      messageId: crypto.randomUUID(),
      contextId: '',
      taskId,
      role: Role.ROLE_USER,
      parts: [
        { content: { $case: 'text', value: text }, ...PART },
        ...(bytes === undefined ? [] : [file]),
      ],
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
    },
    configuration: {
      acceptedOutputModes: [],
      taskPushNotificationConfig: undefined,
      historyLength: undefined,
      returnImmediately: isLater,
    },
    metadata: undefined,
  }
}

const isTask = (answer: Message | Task): answer is Task => 'status' in answer

function textOf(artifacts: readonly Artifact[]): string {
  const parts = artifacts.flatMap((artifact) => artifact.parts)
  return parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('')
}

/** The artifact that an event brings, or brings more of. */
function artifactsIn({ payload }: StreamResponse): Artifact[] {
  const artifact = payload?.$case === 'artifactUpdate' ? payload.value.artifact : undefined
  return artifact === undefined ? [] : [artifact]
}

/** What an event says, as far as it does not depend on how output is cut into pieces. */
function kindOf({ payload }: StreamResponse): string {
  if (payload?.$case === 'statusUpdate') return TaskState[payload.value.status?.state ?? 0] ?? ''
  return payload?.$case ?? ''
}

describe.each(['1.0', '0.3'] as const)('the official client that speaks %s', (version) => {
  let client: Client

  beforeAll(async () => {
    client = await clientOf(version)
  })

  const get = (id: string) => client.getTask({ tenant: '', id, historyLength: undefined })
  const cancel = (id: string) => client.cancelTask({ tenant: '', id, metadata: undefined })

  /** Sends without waiting and resolves when the command has said its first word. */
  async function startTask(): Promise<string> {
    const answer = await client.sendMessage(request('wait', { isLater: true }))
    if (!isTask(answer)) throw new Error('not a task')
    await eventually(async () => textOf((await get(answer.id)).artifacts) === 'wait')
    return answer.id
  }

  it('speaks that version and no other', async () => {
    const versions: unknown[] = []
    const spy: typeof fetch = (input, init) => {
      versions.push(JSON.parse(String(init?.body)).method)
      return fetch(input, init)
    }
    const legacyCompat = { enabled: version === '0.3' }
    const transport = new JsonRpcTransportFactory({ fetchImpl: spy, legacyCompat })
    const probe = await new ClientFactory({ transports: [transport] }).createFromAgentCard(
      await client.getAgentCard(),
    )
    await expect(probe.sendMessage(request('x'))).rejects.toThrow()
    expect(versions).toEqual([version === '1.0' ? 'SendMessage' : 'message/send'])
  })

  it('waits for one message: the text, then the file', async () => {
    const answer = await client.sendMessage(request('hello', { bytes: 'a,b\n' }))
    expect(answer).toMatchObject({
      role: Role.ROLE_AGENT,
      parts: [
        { content: { $case: 'text', value: 'hello' } },
        {
          content: { $case: 'url', value: expect.stringMatching(/^workspace:.*-in\.csv$/) },
          filename: 'in.csv',
          mediaType: 'text/csv',
        },
      ],
    })
  })

  // Contract/runtime 8.2: clients of 0.3 look for the words in a message, and for no state.
  it('is told a failure in words', async () => {
    const answer = await client.sendMessage(request('fail'))
    expect(isTask(answer)).toBe(version === '1.0')
    if (isTask(answer)) expect(answer.status?.state).toBe(TaskState.TASK_STATE_FAILED)
    expect(isTask(answer) ? answer.status?.message?.parts : answer.parts).toMatchObject([
      { content: { value: 'Agent error: the command ended with exit code 3\nbecause' } },
    ])
  })

  it('streams a task to its end', async () => {
    const kinds: string[] = []
    let text = ''
    for await (const event of client.sendMessageStream(request('streamed'))) {
      kinds.push(kindOf(event))
      text += textOf(artifactsIn(event))
    }
    expect([kinds[0], kinds[1], kinds.at(-1), text]).toEqual([
      'task',
      'TASK_STATE_WORKING',
      'TASK_STATE_COMPLETED',
      'streamed',
    ])
  })

  it('does not wait when it does not want to, and asks later', async () => {
    const id = await startTask()
    expect((await get(id)).status?.state).toBe(TaskState.TASK_STATE_WORKING)
    release()
    await eventually(async () => (await get(id)).status?.state === TaskState.TASK_STATE_COMPLETED)
    expect(textOf((await get(id)).artifacts)).toBe('wait\ndone')
  })

  it('follows a task that somebody else started', async () => {
    const id = await startTask()
    const kinds: string[] = []
    for await (const event of client.resubscribeTask({ tenant: '', id })) {
      kinds.push(kindOf(event))
      release()
    }
    expect([kinds[0], kinds.at(-1)]).toEqual(['task', 'TASK_STATE_COMPLETED'])
  })

  it('cancels a task, and to the same effect again', async () => {
    const id = await startTask()
    expect((await cancel(id)).status?.state).toBe(TaskState.TASK_STATE_CANCELED)
    expect((await cancel(id)).status?.state).toBe(TaskState.TASK_STATE_CANCELED)
    expect(runtime.jobFolders()).toEqual([])
  })

  it('does not cancel what has ended by itself', async () => {
    const failed = await client.sendMessage(request('fail', { isLater: true }))
    if (!isTask(failed)) throw new Error('not a task')
    const isFailed = async () =>
      (await get(failed.id)).status?.state === TaskState.TASK_STATE_FAILED
    await eventually(isFailed)
    await expect(cancel(failed.id)).rejects.toThrow(TaskNotCancelableError)
  })

  it('sends nothing more to a task that is worked on or has ended', async () => {
    const id = await startTask()
    const more = () => client.sendMessage(request('more', { taskId: id }))
    await expect(more()).rejects.toThrow(UnsupportedOperationError)
    await cancel(id)
    await expect(more()).rejects.toThrow(UnsupportedOperationError)
  })

  it('is told that there is no such task', async () => {
    await expect(get('nobody')).rejects.toThrow(TaskNotFoundError)
    await expect(cancel('nobody')).rejects.toThrow(TaskNotFoundError)
    await expect(client.sendMessage(request('x', { taskId: 'nobody' }))).rejects.toThrow(
      TaskNotFoundError,
    )
  })
})
