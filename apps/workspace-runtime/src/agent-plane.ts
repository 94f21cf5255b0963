/** @module The agent with everything around it, built once from the configuration (H10, H27). */
import { join } from 'node:path'
import type { AgentCard } from '@a2a-js/sdk'
import { DefaultRequestHandler } from '@a2a-js/sdk/server'
import type { BaseEnv } from '@atrium/hono-kit/request-context'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { AUTH_TOKEN_FILE } from '@atrium/path-safety/workspace-path'
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import { A2aEndpoint } from './agent/a2a-endpoint.ts'
import { emptyTask } from './agent/a2a-objects.ts'
import type { AgentAdapter } from './agent/agent-adapter.ts'
import { agentCard } from './agent/agent-card.ts'
import { AgentHost } from './agent/agent-host.ts'
import { mountAgentRoutes } from './agent/agent-routes.ts'
import type { OpenWorkspaceFile } from './agent/attachments.ts'
import { ConformanceAdapter } from './agent/conformance/conformance-adapter.ts'
import { DeliveryBook } from './agent/deliveries/delivery-book.ts'
import { DeliveryDesk } from './agent/deliveries/delivery-desk.ts'
import { DeliveryReplay } from './agent/deliveries/delivery-replay.ts'
import { EchoAdapter } from './agent/echo-adapter.ts'
import { ExecAdapter, type PublishFile } from './agent/exec/exec-adapter.ts'
import { KeptTaskStore, RESTARTED_TEXT } from './agent/records/kept-task-store.ts'
import { RecordFolder } from './agent/records/record-folder.ts'
import { SdkDispatch } from './agent/sdk-dispatch.ts'
import { TurnExecutor } from './agent/turn-executor.ts'
import { WorkMeter } from './agent/work-meter.ts'
import type { AgentSettings } from './agent-settings.ts'
import type { Config } from './config.ts'
import { WorkQueue } from './work-queue.ts'

const DAY_MS = 86_400_000
const TASK_LIMITS = {
  maxTasks: 1_000,
  maxBytes: 64 * 1024 * 1024,
  maxAgeMs: 7 * DAY_MS,
} as const
/** As JSON, bytes of a message take a third more than in memory. */
const MAX_TASK_RECORD_BYTES = 2 * TASK_LIMITS.maxBytes
const DELIVERY_LIMITS = {
  maxRecords: 5_000,
  maxBytes: 64 * 1024 * 1024,
  maxAgeMs: 2 * DAY_MS,
  maxOutcomeBytes: 4 * 1024 * 1024,
} as const
/** Below the folder of the credentials: it belongs to this runtime, and survives it. */
const RECORDS_FOLDER = '.atrium'
/** Where `atrium-agent` is. */
const TOOL_DIRECTORY = join(import.meta.dirname, '../bin')

export type AgentPlaneInput = {
  readonly settings: AgentSettings
  readonly roots: Config['roots']
  /** Where tasks are kept: beside the credentials. */
  readonly configsDir: string
  readonly isFsyncOn: boolean
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly openFile: OpenWorkspaceFile
  readonly publish: PublishFile
  readonly ownEnvironment: Readonly<Record<string, string | undefined>>
  readonly credentials: () => readonly string[]
  readonly platformUrl: string
  readonly nodePath: string
  /** Where the agent is reached; asked for only once the server listens. */
  readonly ownUrl: () => string
  readonly startPatienceMs: number
  /** A turn began or ended. */
  readonly onWorkChange: () => void
}

export type AgentPlane = {
  readonly host: AgentHost
  readonly meter: WorkMeter
  readonly executor: TurnExecutor
  readonly card: () => AgentCard
  readonly mount: (app: Hono<BaseEnv>) => void
  /** Reads what the last run has left. To be called before anybody asks. Never throws. */
  readonly open: () => Promise<void>
  /** Ends every turn, and resolves when each has said so and it is written. */
  readonly stop: () => Promise<void>
}

export function createAgentPlane(input: AgentPlaneInput): AgentPlane {
  const { settings, log, clock, ids } = input
  const meter = new WorkMeter(input.onWorkChange)
  const host = new AgentHost(createAdapter(input), log)
  const queue = new WorkQueue({
    concurrency: settings.concurrency,
    maxWaiting: settings.maxWaiting,
  })
  const executor = new TurnExecutor({
    log,
    clock,
    ids,
    host,
    queue,
    meter,
    openFile: input.openFile,
  })
  const tasks = createTaskStore(input)
  const handler = new DefaultRequestHandler(
    // Of this one only the capabilities are looked at; the card that is served has the address.
    agentCard(settings, { url: '/', knowsDeliveries: true }),
    tasks,
    executor,
  )
  const sdk = new SdkDispatch(handler, log)
  const deliveries = createDeliveryBook(input)
  const endpoint = new A2aEndpoint({
    host,
    clock,
    ids,
    queue,
    sdk,
    desk: new DeliveryDesk({
      book: deliveries,
      replay: new DeliveryReplay({ sdk, tasks }),
      now: () => clock.now(),
    }),
    isBusyWith: (taskId) => executor.isBusyWith(taskId),
    startPatienceMs: input.startPatienceMs,
  })
  const card = () =>
    agentCard(settings, { url: input.ownUrl(), knowsDeliveries: deliveries.isUsable })
  return {
    host,
    meter,
    executor,
    card,
    mount: (app) => mountAgentRoutes(app, { endpoint, card }),
    open: () => openRecords(tasks, deliveries),
    stop: async () => {
      await executor.stop()
      await tasks.settle()
    },
  }
}

function createTaskStore(input: AgentPlaneInput): KeptTaskStore {
  const { log, clock, ids } = input
  const folder = recordFolder(input, {
    name: 'tasks',
    maxRecordBytes: MAX_TASK_RECORD_BYTES,
    maxRecords: 2 * TASK_LIMITS.maxTasks,
  })
  return new KeptTaskStore({ folder, limits: TASK_LIMITS, log, clock, ids })
}

function createDeliveryBook(input: AgentPlaneInput): DeliveryBook {
  const folder = recordFolder(input, {
    name: 'deliveries',
    maxRecordBytes: 2 * DELIVERY_LIMITS.maxOutcomeBytes,
    maxRecords: 2 * DELIVERY_LIMITS.maxRecords,
  })
  return new DeliveryBook({ folder, limits: DELIVERY_LIMITS, log: input.log, clock: input.clock })
}

function recordFolder(
  { configsDir, isFsyncOn, log, ids }: AgentPlaneInput,
  kind: {
    readonly name: string
    readonly maxRecordBytes: number
    readonly maxRecords: number
  },
): RecordFolder {
  const directory = join(configsDir, RECORDS_FOLDER, kind.name)
  return new RecordFolder({ ...kind, directory, isFsyncOn, log, ids })
}

/** Reads what the last run has left; a delivery that it did not end has failed, with a task to tell it. */
async function openRecords(tasks: KeptTaskStore, deliveries: DeliveryBook): Promise<void> {
  await tasks.open()
  for (const delivery of await deliveries.open()) {
    const { taskId: id, contextId } = delivery
    if ((await tasks.load(id)) === undefined)
      await tasks.fail(emptyTask({ id, contextId }), RESTARTED_TEXT)
    await deliveries.end({ ...delivery, hasEnded: true })
  }
}

/** The runtime kind is a label (contract/runtime 6.2): a command makes an agent of any of them. */
function createAdapter(input: AgentPlaneInput): AgentAdapter {
  const { settings, log, clock, ids, roots, ownEnvironment, credentials, publish } = input
  if (settings.command === '') {
    if (settings.runtimeKind === 'echo') return new EchoAdapter()
    if (settings.runtimeKind === 'conformance') return new ConformanceAdapter(clock)
  }
  return new ExecAdapter({
    log,
    clock,
    ids,
    settings,
    directories: roots,
    ownEnvironment,
    credentials,
    tool: {
      directory: TOOL_DIRECTORY,
      nodePath: input.nodePath,
      platformUrl: input.platformUrl,
      tokenFile: join(input.configsDir, AUTH_TOKEN_FILE),
    },
    publish,
  })
}
