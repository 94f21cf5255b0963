/**
 * Clients of every generation, as they are published, against agents of every kind, through the
 * gateway: what each cell promises is asserted, and what a client or an agent cannot do is explained.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assistantUi } from '../support/a2a-clients/assistant-ui.ts'
import { type BearerHop, openBearerHop } from '../support/a2a-clients/bearer-hop.ts'
import { client0314, client0314Rest } from '../support/a2a-clients/client-0-3.ts'
import { client130, client130Rest } from '../support/a2a-clients/client-1-3.ts'
import { client021, client025 } from '../support/a2a-clients/clients-0-2.ts'
import { type HookServer, startHookServer } from '../support/a2a-clients/hook-server.ts'
import {
  busyAgent,
  genuineAgent,
  type MatrixAgent,
  pollingAgent,
  runtimeAgent,
} from '../support/a2a-clients/matrix-agents.ts'
import {
  type Manner,
  OPERATION_NAMES,
  OPERATIONS,
  type OperationName,
} from '../support/a2a-clients/operations.ts'
import type { RealClient } from '../support/a2a-clients/real-client.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'

const CLIENTS = [
  client021,
  client025,
  client0314,
  client0314Rest,
  client130,
  client130Rest,
  assistantUi,
]

/** A busy machine needs many times what an idle one does. */
const WITHIN_MS = 60_000

const AGENTS: readonly {
  readonly name: string
  readonly start: (platformUrl: string) => Promise<MatrixAgent>
  readonly manner: Manner
}[] = [
  // Its card says that it calls no webhooks: the platform calls them.
  { name: 'an agent of 1.0', start: runtimeAgent, manner: 'at once' },
  // 0.3 has no method by which tasks are listed: the platform lists what it has seen of them.
  { name: 'a genuine agent of 0.3', start: genuineAgent, manner: 'at once' },
  { name: 'an agent that polls', start: pollingAgent, manner: 'later' },
  // It lists its tasks itself, and has not got those yet that wait for it.
  { name: 'a busy agent', start: busyAgent, manner: 'later' },
]

let hop: BearerHop
let hook: HookServer
let platform: PlatformProcess

beforeAll(async () => {
  hop = await openBearerHop()
  hook = await startHookServer()
  platform = await startPlatform({ env: { EXTERNAL_PLATFORM_URL: hop.url } })
  hop.target = platform.url
})
afterAll(async () => {
  await hop.close()
  await hook.close()
  await platform.stop()
})

describe.each(AGENTS)('$name', ({ start, manner }) => {
  let agent: MatrixAgent

  beforeAll(async () => {
    agent = await start(platform.url)
    hop.tokens.set(agent.id, agent.token)
  })
  afterAll(() => agent.close())

  describe.each(CLIENTS)('and $name', ({ connect }) => {
    let client: RealClient

    beforeAll(async () => {
      client = await connect(`${hop.url}/a2a/${agent.id}`)
    })

    /** Of the generations before 1.0 none can list tasks. */
    const isRefused = (name: OperationName) => name === 'list' && client.list === undefined

    // All at once: each is about tasks of its own, and most of the time is waiting.
    it.concurrent.each(OPERATION_NAMES)(
      '%s',
      async (name) => {
        const done = OPERATIONS[name](client, manner, hook)
        if (isRefused(name)) await expect(done).rejects.toThrow()
        else await done
      },
      WITHIN_MS,
    )
  })
})
