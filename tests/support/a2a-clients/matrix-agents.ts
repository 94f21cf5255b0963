/** @module The agents that real clients meet: one of each kind that a workspace can have. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AgentRuntime, startAgentRuntime } from '../agent-runtime.ts'
import { type OutsideAgent, registerOutsideAgent } from '../outside-agent.ts'
import { type GenuineAgent, startGenuineAgent } from './genuine-agent.ts'

/** Says `echo: ` and what it was told, and works at `wait` until that is canceled. */
const SCRIPT = `
  const text = require('node:fs').readFileSync(0, 'utf8')
  if (text === 'wait') setInterval(() => {}, 1000)
  else console.log('echo: ' + text)`

export type MatrixAgent = OutsideAgent & { close(): Promise<void> }

/** Our runtime: 1.0, and 0.3 by its SDK. */
export async function runtimeAgent(platformUrl: string): Promise<MatrixAgent> {
  const command = { command: process.execPath, args: ['-e', SCRIPT], concurrency: 16 }
  const runtime: AgentRuntime = await startAgentRuntime({
    config: JSON.stringify({ runtime_config: command }),
    isA2aOpen: true,
  })
  const answer = await fetch(`${runtime.url}/.well-known/agent-card.json`)
  const card = (await answer.json()) as object
  const { url } = runtime
  return { ...(await registerOutsideAgent(platformUrl, { url, card })), close: runtime.close }
}

/** SDK 0.3.14, which speaks nothing but 0.3. */
export async function genuineAgent(platformUrl: string): Promise<MatrixAgent> {
  const agent = await startGenuineAgent()
  const { url, card, close } = agent
  return { ...(await registerOutsideAgent(platformUrl, { url, card })), close }
}

/** The same behind a door that turns every second message away before anybody has seen it. */
export async function busyAgent(platformUrl: string): Promise<MatrixAgent> {
  const agent = await startGenuineAgent()
  const door = await startBusyDoor(agent)
  const card = { ...agent.card, url: door.url }
  const workspace = await registerOutsideAgent(platformUrl, { url: door.url, card })
  const close = async (): Promise<void> => {
    await door.close()
    await agent.close()
  }
  return { ...workspace, close }
}

async function startBusyDoor(agent: GenuineAgent) {
  const refused = new Set<string>()
  const server = createServer(async (incoming, outgoing) => {
    let body = ''
    for await (const piece of incoming) body += piece
    const messageId = /"messageId":"([^"]+)"/.exec(body)?.[1]
    if (messageId !== undefined && !refused.has(messageId)) {
      refused.add(messageId)
      const refusal = { error: 'the agent is busy', code: 'agent_busy', retryable: true }
      outgoing.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' })
      outgoing.end(JSON.stringify(refusal))
      return
    }
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(agent.url, { method: 'POST', headers, body })
    outgoing.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? 'application/json',
    })
    for await (const piece of answer.body ?? []) outgoing.write(piece)
    outgoing.end()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    url,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Fetches its messages and answers each; leaves those that say `wait`. */
export async function pollingAgent(platformUrl: string): Promise<MatrixAgent> {
  const workspace = await registerOutsideAgent(platformUrl, {})
  const leaving = new AbortController()
  const polling = poll({ url: platformUrl, workspace, signal: leaving.signal })
  const close = async (): Promise<void> => {
    leaving.abort()
    await polling
  }
  return { ...workspace, close }
}

type FeedRow = {
  readonly id: string
  readonly queue_id?: string
  readonly request_body?: { readonly params?: { readonly message?: { readonly parts?: unknown } } }
}

type Poller = {
  readonly url: string
  readonly workspace: OutsideAgent
  readonly signal: AbortSignal
}

async function poll(poller: Poller): Promise<void> {
  let since = ''
  while (!poller.signal.aborted) {
    try {
      for (const row of await rowsAfter(poller, since)) {
        since = row.id
        await answerRow(poller, row)
      }
    } catch (error) {
      // Cut off when the test is over.
      if (!poller.signal.aborted) throw error
    }
  }
}

async function rowsAfter(poller: Poller, since: string): Promise<FeedRow[]> {
  const after = since === '' ? '' : `&since_id=${since}`
  const path = `activity?type=a2a_receive&wait=10&limit=500${after}`
  const rows = (await (await call(poller, path)).json()) as FeedRow[]
  // Without a cursor the newest comes first (contract/platform 5.1).
  return since === '' ? rows.toReversed() : rows
}

async function answerRow(poller: Poller, row: FeedRow): Promise<void> {
  const text = /"text":"([^"]*)"/.exec(JSON.stringify(row.request_body))?.[1] ?? ''
  if (row.queue_id === undefined || text === 'wait') return
  const parts = [{ kind: 'text', text: `echo: ${text}` }]
  const result = { kind: 'message', messageId: crypto.randomUUID(), role: 'agent', parts }
  const body = JSON.stringify({ result })
  await call(poller, `a2a/queue/${row.queue_id}/reply`, { method: 'POST', body })
}

function call({ url, workspace, signal }: Poller, path: string, init: RequestInit = {}) {
  const headers = {
    authorization: `Bearer ${workspace.token}`,
    'content-type': 'application/json',
  }
  return fetch(`${url}/workspaces/${workspace.id}/${path}`, { ...init, headers, signal })
}
