/** @module A platform that calls the webhooks of a played agent's callers, and one webhook that a test answers for. */
import { randomBytes, randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { DatabaseClient } from '../../apps/platform/src/db/client.ts'
import type { WorkspaceId } from '../../apps/platform/src/domain/ids.ts'
import type { PushConfig } from '../../apps/platform/src/domain/push-config.ts'
import { keyringOf } from '../../apps/platform/src/domain/secret-envelope.ts'
import { PushRelay } from '../../apps/platform/src/services/push/push-relay.ts'
import {
  type AddressPolicy,
  systemResolve,
} from '../../apps/platform/src/upstream/agent-address.ts'
import { AgentClient } from '../../apps/platform/src/upstream/agent-client.ts'
import { eventually } from './eventually.ts'
import {
  newWorkspace,
  PlayedAgent,
  readFlow,
  type StreamReplica,
  startStreamReplica,
} from './streaming-agent.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'
import { startWorkspaceServer, type WorkspaceServer } from './workspace-server.ts'

export const AT_HOME: AddressPolicy = { allowLoopback: true, allowPrivate: false }
export const OUTSIDE: AddressPolicy = { allowLoopback: false, allowPrivate: false }
const keyring = keyringOf(randomBytes(32))

export let database: TestDatabase
export let replica: StreamReplica
export let webhook: WorkspaceServer
export let workspaceId: WorkspaceId
export let agent: PlayedAgent
const ends: (() => Promise<unknown>)[] = []

/** How many loops of relays are asleep. */
export let resting = 0
const clock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => {
    resting += 1
    await systemClock.sleep(ms, signal).finally(() => {
      resting -= 1
    })
  },
}

/** One platform's webhooks for the calling file; a workspace and its agent for every test. */
export function providePushScene(): void {
  beforeAll(async () => {
    database = await createTestDatabase()
    replica = startStreamReplica(database.url)
    webhook = await startWorkspaceServer()
    ends.push(() => database.drop())
    ends.push(() => Promise.all([replica.stop(), webhook.close()]))
  })
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })
  beforeEach(async () => {
    agent = new PlayedAgent()
    workspaceId = await newWorkspace(replica)
    webhook.requests.length = 0
    webhook.answer = (_, response) => response.writeHead(200).end()
  })
}

export async function withRelay(
  policy: AddressPolicy,
  work: () => Promise<void>,
  client: DatabaseClient = replica.client,
): Promise<void> {
  const { db, sql } = client
  const timeouts = { connectTimeoutMs: 2_000, headersTimeoutMs: 2_000, idleTimeoutMs: 2_000 }
  const agentClient = new AgentClient({ ...timeouts, policy })
  const relay = new PushRelay({
    ...{ db, sql, clock, keyring, agentClient, replicaId: randomUUID() },
    listen: (...on) => client.listen(...on),
    eventOfEnd: () => undefined,
    log: pino({ level: 'silent' }),
  })
  relay.start()
  try {
    await work()
  } finally {
    await relay.stop()
    await agentClient.close()
  }
}

export const configDeps = (policy = AT_HOME) => ({
  ...{ db: replica.client.db, clock: systemClock, keyring, addressPolicy: policy },
  resolve: systemResolve,
})

export function config(fields: Partial<PushConfig> = {}): PushConfig {
  return {
    key: { workspaceId, taskId: agent.taskId },
    ...{ configId: 'one', sender: 'admin', dialect: '1.0', url: `${webhook.url}/hook` },
    ...{ token: 'known-by-this', scheme: 'Bearer', credentials: 'let-me-in' },
    ...fields,
  }
}

/** An agent's stream from its first event to its end, until all that is to be told is written. */
export async function streamOnce(...frames: string[]): Promise<void> {
  const body = new PassThrough()
  const reader = readFlow(
    replica.streams.adopt({
      ...{ workspaceId, sender: 'admin', dialect: '0.3', body, agentOf: () => agent },
    }),
  )
  body.end(frames.join(''))
  await eventually(() => reader.isOver())
  const key = { workspaceId, taskId: agent.taskId }
  await eventually(async () => (await replica.streams.find(key))?.isEnded)
}

export const waiting = async (): Promise<number> => {
  const rows = await database.sql`
    SELECT id FROM a2a_push_outbox WHERE workspace_id = ${workspaceId}`
  return rows.length
}
