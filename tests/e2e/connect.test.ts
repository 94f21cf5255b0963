/** The guide docs/guides/connect.md on a platform and a client that are processes of their own. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ConnectProcess, startConnect } from '../support/connect-process.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpGate, startHttpGate } from '../support/http-gate.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'

const ENV = { ATRIUM_SWEEP_INTERVAL_MS: '500', REMOTE_LIVENESS_STALE_AFTER: '60' }

let platform: PlatformProcess
let gate: HttpGate
let home: string
let running: ConnectProcess[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'atrium-connect-e2e-'))
  platform = await startPlatform({ env: ENV })
  // Clients know one address, whatever port the platform of the moment has.
  gate = await startHttpGate(platform.url)
})
afterEach(async () => {
  for (const each of running) each.signal('SIGKILL')
  await Promise.all(running.map((each) => each.ended))
  running = []
  await gate.close()
  await platform.stop()
  await rm(home, { recursive: true, force: true })
})

type External = { readonly id: string; readonly token: string }

async function call(path: string, body?: unknown, token?: string): Promise<unknown> {
  const answer = await fetch(`${platform.url}${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  })
  return await answer.json()
}

async function external(): Promise<External> {
  const created = (await call('/workspaces', { name: 'laptop', external: true })) as {
    id: string
    status: string
    connection: { auth_token: string }
  }
  expect(created.status).toBe('awaiting_agent')
  return { id: created.id, token: created.connection.auth_token }
}

function connect(workspace: External, ...args: readonly string[]): ConnectProcess {
  const started = startConnect({
    url: gate.url,
    workspaceId: workspace.id,
    token: workspace.token,
    stateHome: home,
    args,
  })
  running.push(started)
  return started
}

async function say(workspace: External, text: string): Promise<void> {
  const message = { role: 'user', messageId: `say-${text}`, parts: [{ kind: 'text', text }] }
  const body = { method: 'message/send', params: { message } }
  const answer = await call(`/workspaces/${workspace.id}/a2a`, body, workspace.token)
  expect(answer).toMatchObject({ status: 'queued', delivery_mode: 'poll' })
}

async function told(workspace: External): Promise<unknown[]> {
  const rows = (await call(
    `/workspaces/${workspace.id}/activity?from=start&limit=500`,
    undefined,
    workspace.token,
  )) as { method: string; response_body?: { result: unknown } }[]
  return rows.filter((row) => row.method === 'notify').map((row) => row.response_body?.result)
}

async function status(workspace: External): Promise<unknown> {
  return ((await call(`/workspaces/${workspace.id}`)) as { status: unknown }).status
}

describe('atrium connect and a platform that is killed', () => {
  it('goes on with the next one: no message is lost and none is answered twice', async () => {
    const workspace = await external()
    const runs = join(home, 'runs')
    const agent = connect(workspace, '--exec', `echo run >> ${runs}; sleep 0.2; cat`)
    await agent.connected()
    for (let index = 0; index < 10; index += 1) await say(workspace, `a${index}`)
    await eventually(() => existsSync(runs) && readFileSync(runs, 'utf8').length > 8)
    await platform.kill()
    await eventually(() => agent.stderr().includes('trying again in'))
    platform = await startPlatform({ env: ENV, after: platform })
    gate.target = platform.url
    for (let index = 0; index < 5; index += 1) await say(workspace, `b${index}`)
    await eventually(async () => (await told(workspace)).length >= 15, 90_000)
    expect(await told(workspace)).toEqual([
      ...['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9'],
      ...['b0', 'b1', 'b2', 'b3', 'b4'],
    ])
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(0)
    expect(readFileSync(runs, 'utf8').split('\n')).toHaveLength(16)
  })
})

describe("the contract's script for external agents (runtime 16.5)", () => {
  it('awaits an agent, has one, loses it, and has it again', async () => {
    await platform.stop()
    platform = await startPlatform({ env: { ...ENV, REMOTE_LIVENESS_STALE_AFTER: '3' } })
    gate.target = platform.url
    const workspace = await external()
    const rows = await platform.database.sql`SELECT status FROM workspaces`
    expect(rows).toMatchObject([{ status: 'awaiting_agent' }])
    const agent = connect(workspace, '--exec', 'cat')
    await agent.connected()
    agent.signal('SIGKILL')
    await agent.ended
    await eventually(async () => (await status(workspace)) === 'awaiting_agent', 60_000)
    await say(workspace, 'while nobody was there')
    expect(await connect(workspace, '--exec', 'cat', '--once').ended).toBe(0)
    expect(await told(workspace)).toEqual(['while nobody was there'])
    // Not what it is now: that is a matter of seconds, for nobody beats any more.
    const events = await platform.database.sql`SELECT event_type FROM structure_events ORDER BY id`
    expect(events.map((event) => event['event_type']).slice(0, 4)).toEqual([
      'WORKSPACE_AWAITING_AGENT',
      'WORKSPACE_ONLINE',
      'WORKSPACE_AWAITING_AGENT',
      'WORKSPACE_ONLINE',
    ])
  })
})

describe('the guide', () => {
  it('works as it is written: a token in a file, and any program as the agent', async () => {
    const workspace = await external()
    await writeFile(join(home, 'token'), `${workspace.token}\n`, { mode: 0o600 })
    const agent = connect(workspace, '--token-file', 'token', '--exec', 'tr a-z A-Z')
    await agent.connected()
    await say(workspace, 'good morning')
    await eventually(async () => (await told(workspace)).length > 0)
    expect(await told(workspace)).toEqual(['GOOD MORNING'])
    expect(agent.stderr() + readFileSync(platform.logPath, 'utf8')).not.toContain(workspace.token)
  })
})
