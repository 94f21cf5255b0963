/**
 * @module The streams of agents on this replica: each is read once, told to every reader, kept for
 * those of other replicas and for those that come back, and goes on when its readers leave
 * (contract/a2a 2.7).
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Db, Sql } from '../../db/client.ts'
import { loggableDatabaseError } from '../../db/db-error.ts'
import {
  type Append,
  type Appended,
  appendTaskEvents,
  findStream,
  isKeptSince,
  lastSeqBefore,
  leaveStreams,
  type OwnedStream,
  openStream,
  pruneStreams,
  renewStreams,
  type StreamRow,
  TAKEOVER_GAP,
  takeOverStreams,
} from '../../db/task-event-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import {
  type AgentDialect,
  type EventFlow,
  isKeepableTaskId,
  type TaskKey,
} from '../../domain/task-stream.ts'
import { GroupCommit } from '../group-commit.ts'
import { runEvery } from '../run-every.ts'
import { followTask } from './follow-task.ts'
import { renameTaskIn } from './rename-task.ts'
import { errorEvent, readStreamEvent, type StreamEvent } from './stream-event.ts'
import { StreamReader } from './stream-reader.ts'
import { TaskHub } from './task-hub.ts'
import { nameOf, TaskTails } from './task-tails.ts'
import { type AgentBody, eventsOf, type TaskAgent, wholeStream } from './whole-stream.ts'

/** A replica that says nothing for so long has lost what it was reading. */
const LEASE_MS = 30_000
const RENEW_EVERY_MS = 10_000
const SWEEP_EVERY_MS = 5_000
const PRUNE_EVERY_MS = 60_000
/** Contract/a2a 2.7: events are kept for so long after the end. */
const KEPT_MS = 10 * 60_000
/** Taken over by one sweep. */
const TAKEOVER_BATCH = 20

const GROUPS = {
  maxGroupItems: 200,
  maxGroupBytes: 4 * 1024 * 1024,
  maxWaitingItems: 20_000,
  maxWaitingBytes: 256 * 1024 * 1024,
  maxWaitMs: 10_000,
  // Readers have an event before it is written; on other replicas they have it so much later.
  restMs: 10,
}
const BASE_BYTES = 256

export type StreamDeps = {
  readonly db: Db
  readonly sql: Sql
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly log: Logger
  readonly replicaId: string
}

/** What an agent has begun to tell. */
export type AgentStream = {
  readonly workspaceId: WorkspaceId
  /** Who may come back to it. */
  readonly sender: string
  readonly dialect: AgentDialect
  readonly body: AgentBody
  /** By which its sender knows the task, when that is not the agent's name for it. */
  readonly alias?: string | undefined
  readonly agentOf: (upstreamTaskId: string) => TaskAgent
  /** Once, with the first event, before it is kept; undefined when there was none. */
  readonly onFirst?: ((first: StreamEvent | undefined) => void | Promise<void>) | undefined
}

/** An event with what is known of its stream, for the index of tasks and for webhooks. */
export type StreamNews = {
  readonly key: TaskKey
  readonly upstreamTaskId: string
  readonly sender: string
  readonly dialect: AgentDialect
  /** Of the task as its sender knows it. */
  readonly event: StreamEvent
}

/** Of a stream that names no task, which nobody can be asked about. */
const NO_AGENT: TaskAgent = {
  askTask: async () => ({ kind: 'absent' }),
  resubscribe: async () => undefined,
}

type Running = {
  readonly hub: TaskHub
  readonly upstreamTaskId: string
  readonly sender: string
  readonly agent: TaskAgent
  readonly events: AsyncIterable<StreamEvent> | undefined
}

export class TaskStreams {
  readonly #deps: StreamDeps
  readonly #appends: GroupCommit<Append, Appended>
  readonly #hubs = new Map<string, TaskHub>()
  readonly #tails: TaskTails
  readonly #runs = new Set<Promise<void>>()
  readonly #bodies = new Set<AgentBody>()
  readonly #flows = new Set<AbortController>()
  readonly #stopping = new AbortController()
  readonly #onNews = new Set<(news: StreamNews) => void>()
  #loops: readonly Promise<void>[] = []

  constructor(deps: StreamDeps) {
    this.#deps = deps
    this.#tails = new TaskTails(deps)
    this.#appends = new GroupCommit<Append, Appended>({
      ...GROUPS,
      run: (items) => appendTaskEvents(deps.sql, items, LEASE_MS),
      sizeOf: ({ events }) => events.reduce((sum, { data }) => sum + data.length, BASE_BYTES),
    })
  }

  /** `agentOf` asks the agent of a stream whose replica is gone. */
  start(agentOf: (stream: StreamRow) => TaskAgent): void {
    const { db, replicaId } = this.#deps
    this.#tails.start()
    this.#loops = [
      this.#tails.run(this.#stopping.signal),
      this.#every(RENEW_EVERY_MS, () => renewStreams(db, replicaId, LEASE_MS)),
      this.#every(SWEEP_EVERY_MS, () => this.#takeOver(agentOf)),
      this.#every(PRUNE_EVERY_MS, () => pruneStreams(db, KEPT_MS)),
    ]
  }

  /** Every event of every stream that is read here is told to `onNews`. */
  whenNews(onNews: (news: StreamNews) => void): void {
    this.#onNews.add(onNews)
  }

  /** Reads the stream to the task's end, whoever listens; the first reader is given back. */
  adopt(stream: AgentStream): EventFlow {
    const reader = new StreamReader()
    this.#track(this.#adopt(stream, reader))
    return reader
  }

  /** Begins to follow a task of which nobody reads a stream; false when somebody does. */
  async watch(
    task: Pick<AgentStream, 'sender' | 'dialect' | 'agentOf'> & {
      readonly key: TaskKey
      readonly upstreamTaskId: string
    },
  ): Promise<boolean> {
    const { key, upstreamTaskId, sender, dialect } = task
    const { db, replicaId } = this.#deps
    const stream = { ...key, upstreamTaskId, sender, dialect }
    const claim = await openStream(db, { ...stream, replicaId, leaseMs: LEASE_MS })
    if (claim === undefined) return false
    const hub = this.#newHub({ key, dialect, claim })
    const agent = task.agentOf(upstreamTaskId)
    this.#track(this.#read({ hub, upstreamTaskId, sender, agent, events: undefined }))
    return true
  }

  /** What is known of a task's stream, on whichever replica. */
  async find(key: TaskKey): Promise<StreamRow | undefined> {
    return isKeepableTaskId(key.taskId) ? await findStream(this.#deps.db, key) : undefined
  }

  /** Whether a reader who has everything up to `seq` can be given all the rest. */
  async isResumable(key: TaskKey, seq: number): Promise<boolean> {
    const hub = this.#hubs.get(nameOf(key))
    if (hub?.isKept === true && hub.lastSeq === seq) return true
    return await isKeptSince(this.#deps.db, key, seq)
  }

  /** The last event of the task that was kept before then. */
  async placeAt(key: TaskKey, at: Date): Promise<number> {
    return isKeepableTaskId(key.taskId) ? await lastSeqBefore(this.#deps.db, key, at) : 0
  }

  /** The events after `after` and those to come, until the stream has ended. */
  follow(key: TaskKey, after: number): EventFlow {
    const leaving = new AbortController()
    this.#flows.add(leaving)
    const events = followTask(
      {
        db: this.#deps.db,
        clock: this.#deps.clock,
        tails: this.#tails,
        hubOf: (of) => this.#hubs.get(nameOf(of)),
        stopping: this.#stopping.signal,
      },
      { key, after, signal: leaving.signal },
    )
    return {
      [Symbol.asyncIterator]: () => events,
      close: () => {
        this.#flows.delete(leaving)
        leaving.abort()
      },
    }
  }

  /** How far the stream has come here; undefined: it is not read here. */
  lastSeqHere(key: TaskKey): number | undefined {
    return this.#hubs.get(nameOf(key))?.lastSeq
  }

  /** Ends every reader and leaves the streams to other replicas. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const failure = new AppError('shutting_down')
    this.#stopping.abort(failure)
    for (const hub of this.#hubs.values()) hub.abandon(failure)
    for (const body of this.#bodies) body.destroy()
    for (const leaving of this.#flows) leaving.abort()
    await Promise.all([...this.#loops, ...this.#runs])
    await this.#appends.drain()
    // A database that is away lets the leases run out by themselves.
    await leaveStreams(this.#deps.db, this.#deps.replicaId).catch((error: unknown) =>
      this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'task_events.leave_failed'),
    )
  }

  #track(run: Promise<void>): void {
    const tracked = run
      .catch((error: unknown) => {
        this.#deps.log.error({ err: loggableDatabaseError(error) }, 'task_events.stream_failed')
      })
      .finally(() => {
        this.#runs.delete(tracked)
      })
    this.#runs.add(tracked)
  }

  async #adopt(stream: AgentStream, reader: StreamReader): Promise<void> {
    this.#bodies.add(stream.body)
    try {
      const events = eventsOf(stream.body)
      const first = await firstOf(events)
      await stream.onFirst?.(first instanceof AppError ? undefined : first)
      if (first instanceof AppError) {
        reader.end(this.#stopping.signal.aborted ? new AppError('shutting_down') : first)
        return
      }
      const hub = await this.#open(stream, first)
      hub.join(reader)
      const upstreamTaskId = first.taskId ?? ''
      await this.#read({
        ...{ hub, upstreamTaskId, sender: stream.sender, events: startingWith(first, events) },
        agent: upstreamTaskId === '' ? NO_AGENT : stream.agentOf(upstreamTaskId),
      })
    } finally {
      this.#bodies.delete(stream.body)
      stream.body.destroy()
    }
  }

  /** Where its events are told; they are kept unless another stream of the task is, or cannot be. */
  async #open(stream: AgentStream, first: StreamEvent): Promise<TaskHub> {
    const { workspaceId, dialect, sender } = stream
    const upstreamTaskId = first.taskId
    const taskId = stream.alias ?? upstreamTaskId ?? ''
    const options = { key: { workspaceId, taskId }, dialect, claim: undefined }
    if (upstreamTaskId === undefined || !isKeepableTaskId(taskId)) {
      return new TaskHub(this.#hubDeps(), options)
    }
    const claim = await this.#claim({ ...options.key, upstreamTaskId, sender, dialect })
    return this.#newHub({ ...options, claim })
  }

  async #claim(stream: Omit<StreamRow, 'lastSeq' | 'isEnded'>): Promise<OwnedStream | undefined> {
    const { db, replicaId, log } = this.#deps
    try {
      return await openStream(db, { ...stream, replicaId, leaseMs: LEASE_MS })
    } catch (error) {
      // The one who asked gets the events all the same.
      log.warn({ err: loggableDatabaseError(error) }, 'task_events.open_failed')
      return undefined
    }
  }

  #newHub(options: ConstructorParameters<typeof TaskHub>[1]): TaskHub {
    const hub = new TaskHub(this.#hubDeps(), options)
    if (hub.isKept) {
      this.#hubs.set(nameOf(hub.key), hub)
      this.#tails.ring(hub.key)
    }
    return hub
  }

  #hubDeps() {
    const { clock, log } = this.#deps
    return { clock, log, append: (item: Append) => this.#appends.submit(item) }
  }

  async #read(running: Running): Promise<void> {
    const { hub, upstreamTaskId } = running
    const signal = this.#stopping.signal
    const whole = wholeStream(
      { clock: this.#deps.clock, agent: running.agent, dialect: hub.dialect, signal },
      running.events,
    )
    try {
      for await (const event of whole) {
        const told = asKnown(event, hub.key.taskId, upstreamTaskId)
        await hub.publish(told.data, told.isLast)
        this.#tellNews(running, told)
      }
      await hub.end()
    } catch (error) {
      if (signal.aborted) hub.abandon(new AppError('shutting_down'))
      else await this.#endBroken(hub, error)
    } finally {
      if (this.#hubs.get(nameOf(hub.key)) === hub) this.#hubs.delete(nameOf(hub.key))
      await whole.return(undefined)
    }
  }

  /** The break is the last event, so that it is told to whoever comes, wherever. */
  async #endBroken(hub: TaskHub, error: unknown): Promise<void> {
    const failure = findAppError(error) ?? new AppError('internal', { cause: error })
    this.#deps.log.warn(
      { workspace_id: hub.key.workspaceId, err: loggableDatabaseError(error) },
      'task_events.stream_broken',
    )
    await hub.publish(errorEvent(failure))
    await hub.end()
  }

  #tellNews(running: Running, event: StreamEvent): void {
    const { hub, upstreamTaskId, sender } = running
    if (upstreamTaskId === '') return
    const { key, dialect } = hub
    for (const onNews of this.#onNews) onNews({ key, dialect, upstreamTaskId, sender, event })
  }

  async #takeOver(agentOf: (stream: StreamRow) => TaskAgent): Promise<void> {
    const { db, replicaId, log } = this.#deps
    const by = { replicaId, leaseMs: LEASE_MS, limit: TAKEOVER_BATCH }
    for (const stream of await takeOverStreams(db, by)) {
      // It was this replica's own, which hung: what it still reads is told and not kept any more.
      log.warn({ workspace_id: stream.workspaceId }, 'task_events.taken_over')
      const { workspaceId, taskId, dialect, fence, lastSeq } = stream
      const hub = this.#newHub({
        ...{ key: { workspaceId, taskId }, dialect },
        claim: { fence, lastSeq: lastSeq + TAKEOVER_GAP },
      })
      const { upstreamTaskId, sender } = stream
      const agent = agentOf(stream)
      this.#track(this.#read({ hub, upstreamTaskId, sender, agent, events: undefined }))
    }
  }

  #every(everyMs: number, work: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#deps
    const repetition = {
      clock,
      log,
      signal: this.#stopping.signal,
      failed: 'task_events.sweep_failed',
    }
    return runEvery(repetition, everyMs, work)
  }
}

/** What went wrong is the caller's to tell. */
async function firstOf(events: AsyncGenerator<StreamEvent>): Promise<StreamEvent | AppError> {
  try {
    const first = await events.next()
    return first.done === true ? new AppError('stream_interrupted') : first.value
  } catch (error) {
    return findAppError(error) ?? new AppError('stream_interrupted', { cause: error })
  }
}

/** The event under the name by which the task's sender knows it. */
function asKnown(event: StreamEvent, known: string, upstream: string): StreamEvent {
  if (known === upstream || upstream === '') return event
  return readStreamEvent(renameTaskIn(event.data, upstream, known))
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}
