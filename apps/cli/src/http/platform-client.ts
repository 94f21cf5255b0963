/**
 * @module The only HTTP client of the command: undici for JSON, streams and downloads, node:http
 * for request bodies of any size (never `fetch`, design/performance 2). Redirects are never
 * followed: the bearer would go along. Deadlines are for silence, never for a whole transfer.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import type { Secret } from '@atrium/http-kit/secret'
import { Agent, type Dispatcher, request } from 'undici'
import { CliFailure, EXIT } from '../failure.ts'
import { answerFailure } from './answer-failure.ts'
import { transportFailure } from './transport-failure.ts'

const CONNECT_TIMEOUT_MS = 10_000
const MAX_JSON_BYTES = 32 * 1024 * 1024

export type PlatformRequest = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** Path segments after the base URL; each is percent-encoded here and nowhere else. */
  readonly segments: readonly string[]
  readonly query?: Readonly<Record<string, string>>
  readonly bearer?: Secret | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  /** Longest silence before the head of the answer; the client's idle time when absent. */
  readonly headersTimeoutMs?: number
  /** Ends this request, besides what ends them all. */
  readonly signal?: AbortSignal
}

export type PlatformAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

export type UploadBody = {
  readonly contentType: string
  readonly contentLength: number
  /** Chunks that together are `contentLength` bytes; a chunk is reused once it has been sent. */
  readonly chunks: AsyncIterable<Uint8Array>
}

export type PlatformClientOptions = {
  readonly baseUrl: URL
  readonly idleTimeoutMs: number
  readonly signal: AbortSignal
  /** Go with every request. */
  readonly headers?: Readonly<Record<string, string>>
}

/** One header value as text; the first when there are several. */
export function headerValue(answer: PlatformAnswer, name: string): string | undefined {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}

export class PlatformClient {
  readonly #options: PlatformClientOptions
  readonly #agent: Agent

  constructor(options: PlatformClientOptions) {
    this.#options = options
    this.#agent = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: options.idleTimeoutMs,
      bodyTimeout: options.idleTimeoutMs,
    })
  }

  get origin(): string {
    return this.#options.baseUrl.origin
  }

  /** What tells this platform from another one. */
  get address(): string {
    return this.#options.baseUrl.href
  }

  /**
   * Sends and returns the answer with its body unread. Throws a `CliFailure` for anything but 2xx,
   * for a redirect, and when there is no answer.
   */
  async open(wanted: PlatformRequest): Promise<PlatformAnswer> {
    const signal =
      wanted.signal === undefined
        ? this.#options.signal
        : AbortSignal.any([this.#options.signal, wanted.signal])
    let answer: Dispatcher.ResponseData
    try {
      answer = await request(this.#url(wanted), {
        dispatcher: this.#agent,
        method: wanted.method,
        headers: this.#headers(wanted),
        body: wanted.json === undefined ? null : JSON.stringify(wanted.json),
        signal,
        ...(wanted.headersTimeoutMs === undefined
          ? {}
          : { headersTimeout: wanted.headersTimeoutMs }),
      })
    } catch (thrown) {
      throw transportFailure(thrown, this.origin, signal)
    }
    const { statusCode: status, headers, body } = answer
    if (status < 200 || status > 299) throw await this.#failure({ status, headers, body })
    return { status, headers, body }
  }

  /** The JSON body of a 2xx answer; undefined when it is empty. Throws like `open`. */
  async json(wanted: PlatformRequest): Promise<unknown> {
    const answer = await this.open(wanted)
    return this.readJson(answer)
  }

  /**
   * POSTs a body of known length with back-pressure and returns the JSON of the answer. An answer
   * that comes early (413, 404) ends the sending. Throws like `open`, and whatever `chunks` throws.
   */
  async upload(
    wanted: Omit<PlatformRequest, 'json' | 'method'>,
    body: UploadBody,
  ): Promise<unknown> {
    const { signal, idleTimeoutMs, baseUrl } = this.#options
    const isTls = baseUrl.protocol === 'https:'
    // With `Connection: close` a server that refuses early closes at once, and its answer is lost
    // in the reset that our next bytes provoke. Kept alive, it reads on until we have stopped.
    const agent = isTls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
    const send = isTls ? httpsRequest : httpRequest
    const outgoing = send(this.#url({ ...wanted, method: 'POST' }), {
      method: 'POST',
      agent,
      signal,
      headers: {
        ...this.#headers({ ...wanted, method: 'POST' }),
        'content-type': body.contentType,
        'content-length': body.contentLength,
      },
    })
    outgoing.setTimeout(idleTimeoutMs, () => {
      outgoing.destroy(Object.assign(new Error('idle'), { code: 'ETIMEDOUT' }))
    })
    try {
      const incoming = await exchange(outgoing, body.chunks)
      const status = incoming.statusCode ?? 0
      const answer: PlatformAnswer = { status, headers: incoming.headers, body: incoming }
      if (status < 200 || status > 299) throw await this.#failure(answer)
      return await this.readJson(answer)
    } catch (thrown) {
      throw transportFailure(thrown, this.origin, signal)
    } finally {
      outgoing.destroy()
      agent.destroy()
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  #headers(wanted: PlatformRequest): Record<string, string> {
    return { ...this.#options.headers, ...requestHeaders(wanted) }
  }

  #url(wanted: PlatformRequest): URL {
    const url = new URL(this.#options.baseUrl)
    const below = wanted.segments.map(encodeURIComponent).join('/')
    if (below !== '') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${below}`
    url.search = new URLSearchParams(wanted.query ?? {}).toString()
    return url
  }

  /** The JSON of an opened answer; undefined when it is empty. */
  async readJson(answer: PlatformAnswer): Promise<unknown> {
    const text = await this.#readText(answer.body)
    if (text.trim() === '') return undefined
    try {
      return JSON.parse(text)
    } catch (cause) {
      const facts = { status: answer.status, cause }
      const text = 'the platform answered with something that is not JSON'
      throw new CliFailure(EXIT.failed, text, facts)
    }
  }

  async #readText(body: Readable): Promise<string> {
    const pieces: Buffer[] = []
    let bytes = 0
    try {
      for await (const piece of body) {
        const buffer = Buffer.from(piece)
        bytes += buffer.length
        if (bytes > MAX_JSON_BYTES) {
          throw new CliFailure(EXIT.failed, 'the answer of the platform is too large')
        }
        pieces.push(buffer)
      }
    } catch (thrown) {
      throw transportFailure(thrown, this.origin, this.#options.signal)
    }
    return Buffer.concat(pieces).toString('utf8')
  }

  async #failure(answer: PlatformAnswer): Promise<CliFailure> {
    if (answer.status >= 300 && answer.status < 400) {
      answer.body.destroy()
      return new CliFailure(
        EXIT.failed,
        `the platform answered with a redirect (${answer.status}), which is never followed`,
        { status: answer.status, hint: 'check the address: ATRIUM_URL or --url' },
      )
    }
    const text = await this.#readText(answer.body)
    const seconds = Number(headerValue(answer, 'retry-after') ?? Number.NaN)
    return answerFailure({
      status: answer.status,
      body: parseOrUndefined(text),
      retryAfterSeconds: Number.isFinite(seconds) ? seconds : undefined,
      requestId: headerValue(answer, 'x-request-id'),
    })
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // An error page of something in between: the status alone says what is known.
    return undefined
  }
}

function requestHeaders(wanted: PlatformRequest): Record<string, string> {
  return {
    accept: 'application/json',
    // Content-Length and ranges must mean the bytes of the file (H16).
    'accept-encoding': 'identity',
    'user-agent': 'atrium-cli',
    ...(wanted.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(wanted.bearer === undefined ? {} : { authorization: `Bearer ${wanted.bearer.reveal()}` }),
    ...wanted.headers,
  }
}

/**
 * Sends all chunks and resolves with the head of the answer. Once the answer is there the sending
 * stops, and an error of the connection no longer matters: the server has already said why.
 */
async function exchange(
  outgoing: ClientRequest,
  chunks: AsyncIterable<Uint8Array>,
): Promise<IncomingMessage> {
  let isOver = false
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.on('close', () => {
      reject(Object.assign(new Error('closed before an answer'), { code: 'ECONNRESET' }))
    })
  }).finally(() => {
    isOver = true
  })
  const ended = answered.then(
    () => undefined,
    () => undefined,
  )
  // One chunk is being flushed while the next is read and hashed; two buffers are enough for that.
  let flushed: Promise<unknown> = Promise.resolve()
  for await (const chunk of chunks) {
    await flushed
    if (isOver) return await answered
    const written = new Promise<void>((resolve) => {
      outgoing.write(chunk, () => resolve())
    })
    flushed = Promise.race([written, ended])
  }
  await flushed
  if (!isOver) outgoing.end()
  return await answered
}
