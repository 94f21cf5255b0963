/**
 * @module Messages and streams through the gateway (design/performance 3 and 4): against nginx in
 * front of the same agent, and against the gateway without its database, in turns.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pino from 'pino'
import { openDatabase } from '../../apps/platform/src/db/client.ts'
import { startEmbeddedPostgres } from '../../apps/platform/src/db/embedded-postgres.ts'
import { migrate } from '../../apps/platform/src/db/migrate.ts'
import { platformCommand } from '../platform-command.ts'
import { Child } from './child.ts'
import type { HeartbeatSuite } from './heartbeats.ts'
import { median } from './measure.ts'
import { type MessageFigures, type MessageTarget, sendClosed, sendOpen } from './message-load.ts'
import { ensureNginx, startMessagePeer } from './nginx.ts'
import type { Row } from './report.ts'
import { measureStreams } from './streams.ts'

const PROJECT_ROOT = resolve(import.meta.dirname, '../..')
const TURN_MS = 3_000
const OPEN_PER_SECOND = 500
const STREAMS = [500, 2_000] as const

/** Around 600 bytes, as an agent of few words has it. */
const ANSWER = JSON.stringify({
  ...{ jsonrpc: '2.0', id: 'bench' },
  result: {
    ...{ kind: 'message', messageId: 'answer', role: 'agent' },
    parts: [{ kind: 'text', text: 'a'.repeat(480) }],
  },
})

export async function measureMessages(suite: HeartbeatSuite): Promise<Row[]> {
  const { folder, say } = suite
  mkdirSync(folder, { recursive: true })
  say('starting a durable database, a platform, an agent and what is in between')
  const agent = await startAgents(suite)
  const gateway = await startGateway(suite, agent)
  const bare = await serve(suite, 'bare', [
    join(import.meta.dirname, 'bare-hop.ts'),
    `http://127.0.0.1:${agent.messages.originPort}/`,
  ])
  const plain = { path: '/', headers: {} }
  const targets = {
    atrium: gateway.messages,
    bare: { ...plain, port: bare.port },
    nginx: { ...plain, port: agent.messages.frontPort },
  }
  const closed = await inTurns(suite, targets, (target) => sendClosed(target, TURN_MS))
  say(`${OPEN_PER_SECOND} messages a second`)
  const open = await inTurns(suite, targets, (target) => sendOpen(target, OPEN_PER_SECOND, TURN_MS))
  const rows = [...closedRows(closed), ...openRows(open)]
  await bare.child.end()
  const streams = { ...gateway, agentPort: agent.streams.port }
  for (const count of STREAMS) rows.push(...(await measureStreams(suite, streams, count)))
  return rows
}

type Name = 'atrium' | 'bare' | 'nginx'
type Figures = Readonly<Record<Name, MessageFigures>>

/** Medians of each figure over the rounds A B C A B C ..., after one that is not counted. */
async function inTurns(
  { rounds }: HeartbeatSuite,
  targets: Readonly<Record<Name, MessageTarget>>,
  run: (target: MessageTarget) => Promise<MessageFigures>,
): Promise<Figures> {
  const seen: Record<Name, MessageFigures[]> = { atrium: [], bare: [], nginx: [] }
  for (let round = -1; round < rounds; round += 1) {
    for (const name of ['atrium', 'bare', 'nginx'] as const) {
      const figures = await run(targets[name])
      if (round >= 0) seen[name].push(figures)
    }
  }
  const middle = (of: readonly MessageFigures[]): MessageFigures => ({
    rate: median(of.map(({ rate }) => rate)),
    p50: median(of.map(({ p50 }) => p50)),
    p99: median(of.map(({ p99 }) => p99)),
  })
  return { atrium: middle(seen.atrium), bare: middle(seen.bare), nginx: middle(seen.nginx) }
}

function closedRows({ atrium, bare, nginx }: Figures): Row[] {
  const work = 'message of 2 KB, 32 connections'
  return [
    { work, unit: 'msg/s', atrium: atrium.rate, peer: nginx.rate },
    { work: '  without the database', unit: 'msg/s', atrium: bare.rate, peer: nginx.rate },
    { work: '  p50', unit: 'ms', atrium: atrium.p50, peer: nginx.p50 },
    { work: '  p99', unit: 'ms', atrium: atrium.p99, peer: nginx.p99 },
    { work: '  p99 without the database', unit: 'ms', atrium: bare.p99, peer: nginx.p99 },
  ]
}

/** What the gateway adds to the way, at a rate that nobody notices. */
function openRows({ atrium, bare, nginx }: Figures): Row[] {
  const work = `message of 2 KB, ${OPEN_PER_SECOND} a second`
  return [
    { work: `${work}, p50`, unit: 'ms', atrium: atrium.p50, peer: nginx.p50 },
    { work: '  p99', unit: 'ms', atrium: atrium.p99, peer: nginx.p99 },
    { work: '  p99 added', unit: 'ms', atrium: atrium.p99 - nginx.p99, target: { atMost: 2 } },
    { work: '  p99 added without the database', unit: 'ms', atrium: bare.p99 - nginx.p99 },
  ]
}

async function startAgents(suite: HeartbeatSuite) {
  if (!ensureNginx()) throw new Error('nginx is missing (apt-get install nginx-light)')
  const messages = await startMessagePeer(join(suite.folder, 'nginx'), ANSWER)
  suite.undo.push(() => messages.end())
  const streams = await serve(suite, 'streams', [join(import.meta.dirname, 'stream-agent.mjs')])
  return { messages, streams }
}

type Gateway = {
  readonly child: Child
  readonly databaseUrl: string
  readonly messages: MessageTarget
  readonly streams: MessageTarget
}

async function startGateway(
  suite: HeartbeatSuite,
  agent: Awaited<ReturnType<typeof startAgents>>,
): Promise<Gateway> {
  const { folder, undo } = suite
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'postgres'),
    log: pino({ level: 'silent' }),
  })
  undo.push(() => server.stop())
  const database = openDatabase({ url: server.url, maxConnections: 2 })
  await migrate(database.sql, join(PROJECT_ROOT, 'migrations'))
  await database.close()
  const adminToken = randomBytes(24).toString('hex')
  const data = join(folder, 'platform')
  const { child, port } = await serve(suite, 'platform/platform', platformCommand(), {
    ...{ ATRIUM_MODE: 'production', HOST: '127.0.0.1', PORT: '0', DATABASE_URL: server.url },
    ...{ ADMIN_TOKEN: adminToken, ATRIUM_PROVISIONER: 'none', RATE_LIMIT: '1000000000' },
    ...{ ATRIUM_ENCRYPTION_KEY: randomBytes(32).toString('base64'), ATRIUM_DATA_DIR: data },
    // A line for every message, through a pipe to this process, would be most of what is measured.
    ...{ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1', LOG_LEVEL: 'warn' },
  })
  const url = `http://127.0.0.1:${port}`
  const targetOf = async (agentPort: number): Promise<MessageTarget> => {
    const workspace = await registerAgent(url, adminToken, `http://127.0.0.1:${agentPort}/`)
    const headers = { Authorization: `Bearer ${workspace.token}` }
    return { port, path: `/workspaces/${workspace.id}/a2a`, headers }
  }
  return {
    child,
    databaseUrl: server.url,
    messages: await targetOf(agent.messages.originPort),
    streams: await targetOf(agent.streams.port),
  }
}

async function registerAgent(url: string, adminToken: string, agentUrl: string) {
  const mode = { delivery_mode: 'push' }
  const created = await post(`${url}/workspaces`, adminToken, {
    ...{ name: 'bench', external: true, ...mode },
  })
  const { id, connection } = created as { id: string; connection: { auth_token: string } }
  const token = connection.auth_token
  const card = { name: 'bench', url: agentUrl, protocolVersion: '0.3.0' }
  await post(`${url}/registry/register`, token, { id, url: agentUrl, agent_card: card, ...mode })
  return { id, token }
}

async function post(url: string, bearer: string, body: object): Promise<unknown> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return await answer.json()
}

/** Runs `command`, whose last argument or whose own habit is the file that says where it listens. */
async function serve(
  { folder, undo }: HeartbeatSuite,
  name: string,
  command: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<{ readonly child: Child; readonly port: number }> {
  const state = join(folder, `${name}.json`)
  const args = env === undefined ? [...command, state] : command
  const options = { cwd: PROJECT_ROOT, env: { PATH: process.env['PATH'], ...env } }
  const child = new Child(process.execPath, args, options)
  undo.push(() => child.end())
  const port = await child.until(`${name} listens`, () => portIn(state))
  return { child, port }
}

function portIn(stateFile: string): number | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(stateFile, 'utf8'))
    if (typeof state !== 'object' || state === null || !('url' in state)) return undefined
    return Number(new URL(String(state.url)).port)
  } catch {
    // Not written yet, or half of it: asked again.
    return undefined
  }
}
