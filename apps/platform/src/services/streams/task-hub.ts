/**
 * @module One task as its agent tells of it: every event gets its place, goes to all readers of this
 * replica at once, and is kept for the others. A reader does not wait for the database; what is told
 * and not kept yet is bounded, and then the agent waits.
 */
import type { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { loggableDatabaseError } from '../../db/db-error.ts'
import type { Append, Appended } from '../../db/task-event-store.ts'
import type { AgentDialect, StreamedEvent, TaskKey } from '../../domain/task-stream.ts'
import { StreamReader } from './stream-reader.ts'

/** Contract/a2a 2.7: of each task so much is kept. */
const RING_EVENTS = 1_000
const RING_BYTES = 2 * 1024 * 1024
/** So much may be told before it is kept; a reader that begins has room for all of it. */
const MAX_UNKEPT_EVENTS = 128
const MAX_UNKEPT_BYTES = 512 * 1024
/** A reader that takes nothing for so long is gone, or may as well be. */
const STUCK_MS = 60_000
const RETRY_MS = 1_000

export type HubDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly append: (item: Append) => Promise<Appended>
}

export type HubOptions = {
  readonly key: TaskKey
  readonly dialect: AgentDialect
  /** Under which events are written; undefined: this stream is passed on and not kept. */
  readonly claim: { readonly fence: string; readonly lastSeq: number } | undefined
}

type Unkept = { readonly seq: number; readonly data: Buffer; readonly isLast: boolean }

export class TaskHub {
  readonly key: TaskKey
  readonly dialect: AgentDialect
  readonly #deps: HubDeps
  readonly #readers = new Set<StreamReader>()
  readonly #stopping = new AbortController()
  #fence: string | undefined
  #seq: number
  #unkept: Unkept[] = []
  #unkeptBytes = 0
  readonly #ring: { readonly seq: number; readonly bytes: number }[] = []
  #ringBytes = 0
  #floor = 0
  #isEnding = false
  #isEndKept = false
  #keeping: Promise<void> | undefined
  #onKept: (() => void) | undefined

  constructor(deps: HubDeps, options: HubOptions) {
    this.#deps = deps
    this.key = options.key
    this.dialect = options.dialect
    this.#fence = options.claim?.fence
    this.#seq = options.claim?.lastSeq ?? 0
  }

  get isKept(): boolean {
    return this.#fence !== undefined
  }

  get lastSeq(): number {
    return this.#seq
  }

  /** Aborted when the hub is to be given up: a wait in its behalf ends. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Everything from now on, and before it what cannot be read from the database yet. */
  read(): StreamReader {
    const reader = new StreamReader((closed) => {
      this.#readers.delete(closed)
    })
    for (const event of this.#unkept) reader.offer(this.#streamed(event.data, event.seq))
    this.join(reader)
    return reader
  }

  join(reader: StreamReader): void {
    // Who is not alone is not waited for.
    for (const other of this.#readers) other.nudge()
    this.#readers.add(reader)
    if (this.#isEnding) reader.end()
  }

  /** Tells it to everybody. Resolves when the next one may come; after the `isLast` none does. */
  async publish(data: Buffer, isLast = false): Promise<void> {
    await this.#readersReady()
    if (this.#fence === undefined) {
      this.#tell(this.#streamed(data, undefined))
      return
    }
    this.#seq += 1
    this.#tell(this.#streamed(data, this.#seq))
    this.#unkept.push({ seq: this.#seq, data, isLast })
    this.#unkeptBytes += data.length
    this.#keeping ??= this.#keep()
    while (this.#hasTooMuchUnkept() && !this.#stopping.signal.aborted) await this.#nextKept()
  }

  /** The stream is over: readers end when they have everything, and the end is written down. */
  async end(failure?: AppError): Promise<void> {
    this.#isEnding = true
    for (const reader of this.#readers) reader.end(failure)
    if (this.#fence === undefined) return
    this.#keeping ??= this.#keep()
    await this.#keeping
  }

  /** Gives it up as it is, for another replica to take over. */
  abandon(failure: AppError): void {
    this.#stopping.abort(failure)
    this.#onKept?.()
    for (const reader of this.#readers) reader.end(failure)
  }

  #streamed(data: Buffer, seq: number | undefined): StreamedEvent {
    return { seq, data, taskId: this.key.taskId, dialect: this.dialect }
  }

  #tell(event: StreamedEvent): void {
    for (const reader of this.#readers) reader.offer(event)
  }

  /**
   * A reader that is alone holds the agent back; of several none does (contract/a2a 2.7). One that
   * takes nothing at all does not do so for ever: webhooks and readers elsewhere wait as well.
   */
  async #readersReady(): Promise<void> {
    for (const reader of this.#readers) if (reader.isOver) this.#readers.delete(reader)
    const [only] = this.#readers
    while (this.#readers.size === 1 && only?.isFull === true && !only.isOver) {
      const waited = new AbortController()
      const signal = AbortSignal.any([waited.signal, this.#stopping.signal])
      const stuck = this.#deps.clock.sleep(STUCK_MS, signal).then(
        () => only.overflow(),
        () => undefined,
      )
      await Promise.race([only.room(), stuck])
      waited.abort()
      if (this.#stopping.signal.aborted) return
    }
  }

  #hasTooMuchUnkept(): boolean {
    return this.#unkept.length > MAX_UNKEPT_EVENTS || this.#unkeptBytes > MAX_UNKEPT_BYTES
  }

  async #nextKept(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onKept = resolve
    await promise
  }

  async #keep(): Promise<void> {
    let isFailing = false
    while (this.#hasToKeep() && !this.#stopping.signal.aborted) {
      try {
        await this.#keepSome()
        isFailing = false
      } catch (error) {
        // Once per outage: it is tried again until it is kept, and the agent waits meanwhile.
        if (!isFailing) {
          this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'task_events.keep_failed')
        }
        isFailing = true
        await this.#deps.clock.sleep(RETRY_MS, this.#stopping.signal).catch(() => undefined)
      }
    }
    this.#keeping = undefined
  }

  #hasToKeep(): boolean {
    if (this.#fence === undefined) return false
    return this.#unkept.length > 0 || (this.#isEnding && !this.#isEndKept)
  }

  async #keepSome(): Promise<void> {
    const events = this.#unkept.slice()
    const last = events.at(-1)?.seq ?? this.#seq
    const isEnd = this.#isEnding && last === this.#seq
    const appended = await this.#deps.append({
      key: this.key,
      fence: this.#fence ?? '0',
      dialect: this.dialect,
      events,
      lastSeq: last,
      floor: this.#floorWith(events),
      isEnd,
      hasEnd: events.at(-1)?.isLast === true,
    })
    if (appended === 'lost') {
      this.#deps.log.warn({ workspace_id: this.key.workspaceId }, 'task_events.stream_lost')
      this.#fence = undefined
    }
    this.#isEndKept = isEnd
    this.#unkept.splice(0, events.length)
    this.#unkeptBytes = this.#unkept.reduce((sum, { data }) => sum + data.length, 0)
    this.#onKept?.()
  }

  /** Up to where events fall out when these have come. The same for a repetition. */
  #floorWith(events: readonly Unkept[]): number {
    const known = this.#ring.at(-1)?.seq ?? 0
    for (const { seq, data } of events) {
      if (seq <= known) continue
      this.#ring.push({ seq, bytes: data.length })
      this.#ringBytes += data.length
    }
    while (this.#ring.length > RING_EVENTS || this.#ringBytes > RING_BYTES) {
      const gone = this.#ring.shift()
      if (gone === undefined) break
      this.#ringBytes -= gone.bytes
      this.#floor = gone.seq
    }
    return this.#floor
  }
}
