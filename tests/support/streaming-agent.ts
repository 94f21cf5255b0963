/** @module The replicas' streams without a gateway: on a real database, with agents the test plays. */
import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import { type DatabaseClient, openDatabase } from '../../apps/platform/src/db/client.ts'
import { insertWorkspace } from '../../apps/platform/src/db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../apps/platform/src/domain/ids.ts'
import type { EventFlow, StreamedEvent } from '../../apps/platform/src/domain/task-stream.ts'
import { TaskStreams } from '../../apps/platform/src/services/streams/task-streams.ts'
import type { AskedTask, TaskAgent } from '../../apps/platform/src/services/streams/whole-stream.ts'
import { newWorkspaceRow } from './workspace-row.ts'

export type StreamReplica = {
  readonly streams: TaskStreams
  readonly client: DatabaseClient
  stop(): Promise<void>
}

/** Another of the platforms on one database; `agent` is asked about streams it takes over. */
export function startStreamReplica(
  databaseUrl: string,
  agent: TaskAgent = silentAgent(),
  clock: Clock = systemClock,
): StreamReplica {
  const client = openDatabase({ url: databaseUrl, maxConnections: 4 })
  const streams = new TaskStreams({
    ...{ db: client.db, sql: client.sql, clock, replicaId: randomUUID() },
    listen: (...on) => client.listen(...on),
    log: pino({ level: 'silent' }),
  })
  streams.start(() => agent)
  return {
    streams,
    client,
    async stop() {
      await streams.stop()
      await client.close()
    },
  }
}

export async function newWorkspace({ client }: StreamReplica): Promise<WorkspaceId> {
  const id = workspaceIdSchema.parse(randomUUID())
  await insertWorkspace(client.db, newWorkspaceRow(id, 'online'))
  return id
}

/** Knows of nothing. */
export function silentAgent(): TaskAgent {
  return { askTask: async () => ({ kind: 'absent' }), resubscribe: async () => undefined }
}

/** An agent whose task and whose streams the test holds. */
export class PlayedAgent implements TaskAgent {
  readonly taskId = randomUUID()
  asked: AskedTask = { kind: 'failed' }
  readonly resubscribed: PassThrough[] = []
  #hasStreams = true

  /** Without streams it says of each subscription that it has none. */
  constructor(options: { readonly hasStreams?: boolean } = {}) {
    this.#hasStreams = options.hasStreams ?? true
  }

  askTask = async (): Promise<AskedTask> => this.asked

  resubscribe = async (): Promise<PassThrough | undefined> => {
    if (!this.#hasStreams) return undefined
    const body = new PassThrough()
    this.resubscribed.push(body)
    return body
  }

  /** As 0.3 writes it. */
  task(state: string, artifacts: readonly string[] = []) {
    return {
      ...{ kind: 'task', id: this.taskId, contextId: 'c', status: { state } },
      artifacts: artifacts.map((artifactId) => ({ artifactId, parts: [] })),
    }
  }

  status(state: string, final = false): string {
    const { taskId } = this
    return this.#frame({
      ...{ kind: 'status-update', taskId, contextId: 'c', status: { state }, final },
    })
  }

  artifact(artifactId: string, text = ''): string {
    const { taskId } = this
    const parts = [{ kind: 'text', text }]
    return this.#frame({
      ...{ kind: 'artifact-update', taskId, contextId: 'c', artifact: { artifactId, parts } },
    })
  }

  begin(): string {
    return this.#frame(this.task('submitted'))
  }

  #frame(result: unknown): string {
    return `data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}\n\n`
  }
}

export type ReadFlow = {
  readonly events: StreamedEvent[]
  /** What each event says in a word. */
  said(): string[]
  seqs(): (number | undefined)[]
  isOver(): boolean
  failure(): unknown
  close(): void
}

/** Reads a flow to its end. */
export function readFlow(flow: EventFlow): ReadFlow {
  const events: StreamedEvent[] = []
  let over = false
  let failure: unknown
  void (async () => {
    for await (const event of flow) events.push(event)
  })()
    .catch((error: unknown) => {
      failure = error
    })
    .finally(() => {
      over = true
    })
  return {
    events,
    said: () => events.map(({ data }) => wordOf(data)),
    seqs: () => events.map(({ seq }) => seq),
    isOver: () => over,
    failure: () => failure,
    close: () => flow.close(),
  }
}

function wordOf(data: Buffer): string {
  const { result, error } = JSON.parse(data.toString()) as {
    result?: {
      status?: { state: string }
      artifact?: { artifactId: string }
      kind: string
    }
    error?: { data: { code: string } }
  }
  if (error !== undefined) return `error:${error.data.code}`
  if (result?.artifact !== undefined) return `artifact:${result.artifact.artifactId}`
  return `${result?.kind}:${result?.status?.state}`
}
