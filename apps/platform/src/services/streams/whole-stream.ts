/**
 * @module An agent's events of a task up to an end that is one. A stream that simply ends is taken
 * for a success by every client there is: whether the task has ended is asked, and where it has not,
 * its events are asked for again (contract/a2a 2.7).
 */
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import type { TaskState } from '@atrium/a2a-schema/task-state'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { AgentDialect } from '../../domain/task-stream.ts'
import { SseSplitter } from './sse-splitter.ts'
import {
  isSettled,
  readStreamEvent,
  type StreamEvent,
  statusEvent,
  taskEvent,
} from './stream-event.ts'

/** The bytes of an agent's answer; destroyed when nobody reads them to the end. */
export type AgentBody = AsyncIterable<Uint8Array> & { destroy(): unknown }

export type AskedTask =
  /** As its agent writes it, without a wrapper. */
  | { readonly kind: 'task'; readonly task: JsonObject }
  /** The agent knows of no such task. */
  | { readonly kind: 'absent' }
  /** It cannot be asked, or answers with something else. */
  | { readonly kind: 'failed' }

/** How an agent is asked about one task. Neither rejects but for a defect. */
export type TaskAgent = {
  askTask(signal: AbortSignal): Promise<AskedTask>
  /** Its events from now on; undefined: not to be had. */
  resubscribe(signal: AbortSignal): Promise<AgentBody | undefined>
}

export type WholeStreamDeps = {
  readonly clock: Clock
  readonly agent: TaskAgent
  readonly dialect: AgentDialect
  readonly signal: AbortSignal
}

/** So often in a row it is asked in vain; with the waits between them a minute and a half. */
const MAX_FAILURES = 8
/** A task that goes on for longer without a stream is not waited for. */
const MAX_POLL_MS = 24 * 60 * 60_000
const BACKOFF_BASE_MS = 500
const BACKOFF_CAP_MS = 30_000
/** A stream that held so long was one: the next repair begins anew. */
const GOOD_STREAM_MS = 30_000

export async function* eventsOf(body: AgentBody): AsyncGenerator<StreamEvent> {
  const splitter = new SseSplitter()
  try {
    for await (const piece of body) {
      for (const data of splitter.push(Buffer.from(piece))) yield readStreamEvent(data)
    }
  } finally {
    body.destroy()
  }
}

/**
 * The events of `begin` and of what follows it. `begin` undefined: the stream was lost before.
 * Throws `stream_interrupted` when the task's end cannot be found out.
 */
export async function* wholeStream(
  deps: WholeStreamDeps,
  begin: AsyncIterable<StreamEvent> | undefined,
): AsyncGenerator<StreamEvent> {
  const { clock } = deps
  const seen = new SeenTask(deps.dialect)
  const tries = { attempt: 0, failures: 0, until: clock.now().getTime() + MAX_POLL_MS }
  let events = begin
  while (tries.failures < MAX_FAILURES && clock.now().getTime() < tries.until) {
    const startedAt = clock.now().getTime()
    if (events !== undefined && (yield* untilItEnds(events, seen))) return
    if (clock.now().getTime() - startedAt >= GOOD_STREAM_MS) tries.attempt = 0
    events = yield* repair(deps, seen, tries)
    if (seen.isSettled) return
  }
  throw new AppError('stream_interrupted')
}

/** `failures`: how often in a row the agent could not be asked. */
type Tries = { attempt: number; failures: number; readonly until: number }

/** Asks how the task stands: what is new of it, and its events from now on when it goes on. */
async function* repair(
  { clock, agent, signal }: WholeStreamDeps,
  seen: SeenTask,
  tries: Tries,
): AsyncGenerator<StreamEvent, AsyncIterable<StreamEvent> | undefined> {
  signal.throwIfAborted()
  // At once after a break, and later each time.
  if (tries.attempt > 0) await clock.sleep(backoffMs(tries.attempt), signal)
  tries.attempt += 1
  const asked = await agent.askTask(signal)
  if (asked.kind === 'absent') throw new AppError('stream_interrupted')
  tries.failures = asked.kind === 'failed' ? tries.failures + 1 : 0
  if (asked.kind === 'failed') return undefined
  yield* seen.newsIn(asked.task)
  if (seen.isSettled) return undefined
  const body = await agent.resubscribe(signal)
  return body === undefined ? undefined : eventsOf(body)
}

function backoffMs(attempt: number): number {
  return Math.min(BACKOFF_BASE_MS * 2 ** attempt, BACKOFF_CAP_MS)
}

/** Returns whether the stream is complete. */
async function* untilItEnds(
  events: AsyncIterable<StreamEvent>,
  seen: SeenTask,
): AsyncGenerator<StreamEvent, boolean> {
  try {
    for await (const event of events) {
      if (event.kind === 'task' && !seen.isNews(event.value, event.state)) continue
      seen.note(event)
      yield event
      if (event.isLast) return true
    }
  } catch (error) {
    // How it broke off does not matter: the task is asked about. A defect is none of that.
    if (!(error instanceof Error)) throw error
  }
  return seen.isSettled
}

/** What was told of a task so far. */
class SeenTask {
  readonly #dialect: AgentDialect
  readonly #artifacts = new Set<unknown>()
  #state: TaskState | undefined
  #hasSeen = false

  constructor(dialect: AgentDialect) {
    this.#dialect = dialect
  }

  get isSettled(): boolean {
    return isSettled(this.#state)
  }

  note(event: StreamEvent): void {
    this.#hasSeen = true
    this.#state = event.state ?? this.#state
    if (event.kind === 'artifact') {
      const { artifact } = event.value
      this.#artifacts.add(idOf(artifact))
    }
    if (event.kind === 'task')
      for (const each of artifactsOf(event.value)) this.#artifacts.add(each)
  }

  /** Whether a snapshot says more than what was told. */
  isNews(task: JsonObject, state: TaskState | undefined): boolean {
    return (
      !this.#hasSeen ||
      state !== this.#state ||
      artifactsOf(task).some((each) => !this.#artifacts.has(each))
    )
  }

  /** What the snapshot adds, as events. */
  *newsIn(task: JsonObject): Generator<StreamEvent> {
    const snapshot = readStreamEvent(taskEvent(task, this.#dialect))
    if (!this.isNews(task, snapshot.state)) return
    const isEnd = isSettled(snapshot.state)
    if (!isEnd || artifactsOf(task).some((each) => !this.#artifacts.has(each)) || !this.#hasSeen) {
      this.note(snapshot)
      yield snapshot
    }
    if (!isEnd) return
    const end = readStreamEvent(statusEvent(task, this.#dialect))
    this.note(end)
    yield end
  }
}

function artifactsOf(task: JsonObject): unknown[] {
  const { artifacts } = task
  return Array.isArray(artifacts) ? artifacts.map(idOf) : []
}

function idOf(artifact: unknown): unknown {
  return typeof artifact === 'object' && artifact !== null && 'artifactId' in artifact
    ? artifact.artifactId
    : undefined
}
