/** @module One reader's share of the events of a task: bounded, and never silently short. */
import { AppError } from '@atrium/http-kit/app-error'
import type { EventFlow, StreamedEvent } from '../../domain/task-stream.ts'

/** Contract/a2a 2.7. */
export const MAX_QUEUED_EVENTS = 256
export const MAX_QUEUED_BYTES = 1024 * 1024

export class StreamReader implements EventFlow {
  #queue: StreamedEvent[] = []
  #bytes = 0
  #isClosed = false
  #isEnded = false
  #failure: AppError | undefined
  /** Of the reader, who waits for events. */
  #onNews: (() => void) | undefined
  /** Of who brings them, and waits for room. */
  #onRoom: (() => void) | undefined
  readonly #onClose: (reader: StreamReader) => void

  constructor(onClose: (reader: StreamReader) => void = () => undefined) {
    this.#onClose = onClose
  }

  get isFull(): boolean {
    return this.#queue.length >= MAX_QUEUED_EVENTS || this.#bytes >= MAX_QUEUED_BYTES
  }

  /** It gets nothing any more. */
  get isOver(): boolean {
    return this.#isClosed || this.#isEnded
  }

  /** A reader that does not keep up is told so and gets nothing any more. */
  offer(event: StreamedEvent): void {
    if (this.isOver) return
    if (this.isFull) {
      this.overflow()
      return
    }
    this.#queue.push(event)
    this.#bytes += event.data.length
    this.#onNews?.()
  }

  /** It has taken too little for too long: what waits for it is let go. */
  overflow(): void {
    this.#queue = []
    this.#bytes = 0
    this.end(new AppError('stream_overflow'))
  }

  /** Nothing comes any more; with a `failure` because something went wrong. */
  end(failure?: AppError): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#failure = failure
    this.#onNews?.()
    this.#onRoom?.()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue = []
    this.#onNews?.()
    this.#onRoom?.()
    this.#onClose(this)
  }

  /** Resolves when something was taken, nobody is there to take anything, or at a `nudge`. */
  async room(): Promise<void> {
    if (!this.isFull || this.isOver) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onRoom = resolve
    await promise
  }

  /** Lets go who waits for room. */
  nudge(): void {
    this.#onRoom?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamedEvent> {
    try {
      for (;;) {
        const event = this.#queue.shift()
        if (event !== undefined) {
          this.#bytes -= event.data.length
          this.#onRoom?.()
          yield event
        } else if (this.#isClosed) {
          return
        } else if (this.#isEnded) {
          if (this.#failure !== undefined) throw this.#failure
          return
        } else {
          await this.#news()
        }
      }
    } finally {
      this.close()
    }
  }

  async #news(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onNews = resolve
    await promise
  }
}
