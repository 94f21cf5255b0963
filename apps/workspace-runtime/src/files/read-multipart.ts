/**
 * @module A multipart body as a stream of file parts. The parser is @fastify/busboy's; every stream
 * it makes is owned here, because after a client's abort it emits nothing on them and whoever waits
 * for an end waits for ever (design/path-safety 4).
 */
import type { IncomingMessage } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import { MAX_PLAIN_FIELDS } from '@atrium/runtime-contract/file-transfer'
import { Dicer } from '@fastify/busboy'
import { IdleDeadline } from './idle-deadline.ts'
import { type PartHead, parsePartHead } from './multipart-head.ts'

/** Where the bytes of one file go. */
export type PartSink = {
  /** Takes the bytes; a promise means: no more until it is settled. Throws to refuse the request. */
  append(chunk: Buffer): Promise<void> | undefined
  /** All bytes have been given. */
  end(): Promise<void>
}

export type MultipartReading = {
  readonly boundary: string
  readonly maxFiles: number
  /** Of the whole body, whatever length it declared. */
  readonly maxBodyBytes: number
  readonly idleTimeoutMs: number
  readonly signal: AbortSignal
  /** Thrown when the body turns out longer than `maxBodyBytes`. */
  readonly bodyTooLarge: () => AppError
  /** Where a file part goes; undefined drops it. */
  readonly openSink: (head: PartHead) => Promise<PartSink | undefined>
}

const MAX_PART_HEADER_BYTES = 16 * 1024
const MAX_PART_HEADERS = 32
const STREAM_BUFFER_BYTES = 256 * 1024

/**
 * Reads the body to its end. Rejects with the first failure: `multipart_malformed`,
 * `upload_stalled`, `bodyTooLarge()`, whatever a sink or `openSink` threw, or the signal's reason.
 * By then every part stream is destroyed and nothing reads the request any more, so that an answer
 * can go out while the client still sends.
 */
export function readMultipart(incoming: IncomingMessage, reading: MultipartReading): Promise<void> {
  return new MultipartReader(incoming, reading).run()
}

class MultipartReader {
  readonly #incoming: IncomingMessage
  readonly #reading: MultipartReading
  readonly #parser: Dicer
  readonly #idle: IdleDeadline
  readonly #failure = Promise.withResolvers<never>()
  readonly #parsed = Promise.withResolvers<void>()
  readonly #parts = new Set<Dicer.PartStream>()
  readonly #jobs: Promise<void>[] = []
  #bodyBytes = 0
  #fileCount = 0
  #fieldCount = 0
  #isHeadMissing = false
  #isParsed = false

  constructor(incoming: IncomingMessage, reading: MultipartReading) {
    this.#incoming = incoming
    this.#reading = reading
    this.#parser = new Dicer(parserConfig(reading.boundary))
    this.#idle = new IdleDeadline(reading.idleTimeoutMs, () => this.#onIdle())
    // Whoever waits is told by a race; a failure after the last race is nobody's.
    this.#failure.promise.catch(() => undefined)
  }

  async run(): Promise<void> {
    try {
      // Gone before anybody listened; from here on the request's own 'close' tells.
      this.#reading.signal.throwIfAborted()
      this.#connect()
      await Promise.race([this.#finished(), this.#failure.promise])
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#idle.stop()
      this.#disconnect()
      await Promise.allSettled(this.#jobs)
    }
  }

  async #finished(): Promise<void> {
    await this.#parsed.promise
    // A part that has ended is not yet stored; no job is added any more.
    await Promise.all(this.#jobs)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#idle.progress()
    this.#bodyBytes += chunk.length
    if (this.#bodyBytes > this.#reading.maxBodyBytes) {
      this.#fail(this.#reading.bodyTooLarge())
      return
    }
    // RFC 2046 s5.1.1: what follows the closing delimiter "is to be ignored".
    if (this.#isParsed) return
    if (!this.#parser.write(chunk)) this.#incoming.pause()
  }

  readonly #onEnd = (): void => {
    if (!this.#isParsed) this.#parser.end()
  }

  #onIdle(): void {
    // Then it is the disk that is slow, not the client: its bytes wait here, or have all come.
    if (this.#incoming.isPaused() || this.#incoming.complete) this.#idle.progress()
    else this.#fail(new AppError('upload_stalled'))
  }

  /** Also after a clean end, and then it says nothing new. */
  readonly #onClose = (): void => {
    if (!this.#incoming.complete) this.#fail(malformed('the client disconnected'))
  }

  #connect(): void {
    this.#parser.on('drain', () => this.#incoming.resume())
    this.#parser.on('error', (error) => this.#fail(malformed(error.message)))
    this.#parser.on('part', (part) => this.#onPart(part))
    this.#parser.on('finish', () => {
      this.#isParsed = true
      if (this.#isHeadMissing) this.#fail(malformed('a part has no end of its header'))
      this.#parsed.resolve()
    })
    this.#incoming.on('data', this.#onData)
    this.#incoming.on('end', this.#onEnd)
    this.#incoming.on('error', this.#onClose)
    this.#incoming.on('close', this.#onClose)
  }

  #disconnect(): void {
    this.#incoming.off('data', this.#onData)
    this.#incoming.off('end', this.#onEnd)
    this.#incoming.off('close', this.#onClose)
    if (!this.#incoming.complete) this.#incoming.pause()
    // The 'error' listeners stay: a late error event without one would end the process.
    for (const part of this.#parts) part.destroy()
    this.#parser.destroy()
  }

  #onPart(part: Dicer.PartStream): void {
    this.#parts.add(part)
    part.on('error', () => this.#fail(malformed('a part was cut off')))
    part.on('close', () => this.#parts.delete(part))
    if (this.#isHeadMissing) {
      this.#fail(malformed('a part has no end of its header'))
      return
    }
    this.#isHeadMissing = true
    // biome-ignore lint/suspicious/noExplicitAny: the parser's own type says no more than object
    part.once('header', (lines: any) => {
      this.#isHeadMissing = false
      this.#onHead(part, lines)
    })
  }

  #onHead(part: Dicer.PartStream, lines: Record<string, string[] | undefined>): void {
    const head = parsePartHead(lines)
    if (head === undefined) {
      this.#fail(malformed('a part is no form field'))
      return
    }
    if (head.fileName === undefined) {
      this.#fieldCount += 1
      part.resume()
    } else {
      this.#fileCount += 1
      this.#jobs.push(this.#consume(part, head))
    }
    if (this.#fieldCount > MAX_PLAIN_FIELDS || this.#fileCount > this.#reading.maxFiles) {
      this.#fail(malformed('too many parts'))
    }
  }

  /** Never rejects: its failure is the request's. */
  async #consume(part: Dicer.PartStream, head: PartHead): Promise<void> {
    try {
      const sink = await this.#reading.openSink(head)
      await Promise.race([drainInto(part, sink), this.#failure.promise])
      await sink?.end()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure.reject(error)
  }
}

function parserConfig(boundary: string) {
  return {
    boundary,
    maxHeaderPairs: MAX_PART_HEADERS,
    maxHeaderSize: MAX_PART_HEADER_BYTES,
    partHwm: STREAM_BUFFER_BYTES,
    highWaterMark: STREAM_BUFFER_BYTES,
  }
}

function drainInto(part: Dicer.PartStream, sink: PartSink | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // It may have ended while the sink was being opened; 'end' comes only once it is read.
  part.once('end', resolve)
  part.once('close', resolve)
  part.on('data', (chunk) => {
    try {
      const busy = sink?.append(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk))
      if (busy === undefined) return
      part.pause()
      busy.then(() => part.resume(), reject)
    } catch (error) {
      reject(error)
    }
  })
  return promise
}

function malformed(internal: string): AppError {
  return new AppError('multipart_malformed', { internal })
}
