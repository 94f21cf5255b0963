/** @module One attempt of one request to a runtime, from connecting to the client's last byte. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { breakOff, keepForRest, type RawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError, type ErrorCode } from '@atrium/http-kit/app-error'
import { checkedLookup, checkPeer } from './address-guard.ts'
import { type BodyRelay, prepareConnection, relayFor } from './body-relay.ts'
import { MAX_INTERIM_RESPONSES } from './interim-responses.ts'
import { MAX_HEAD_BYTES, OnreadSocket } from './onread-agent.ts'
import { ProgressWatchdog } from './progress-watchdog.ts'
import { RequestBodyPump } from './request-body-pump.ts'
import type {
  AnswerHead,
  RuntimeAgents,
  RuntimeClientOptions,
  RuntimeRequest,
} from './runtime-client.ts'
import { isConnectionLost, runtimeFailure } from './runtime-failure.ts'

/** A kept connection was closed by the runtime before it could see the request. */
export class StaleConnectionError extends Error {}

export class RuntimeExchange {
  readonly #request: RuntimeRequest
  readonly #exchange: RawExchange
  readonly #options: RuntimeClientOptions & { readonly agents: RuntimeAgents }
  readonly #watchdog = new ProgressWatchdog()
  readonly #progressed = (): void => this.#watchdog.progressed()
  /** Rejects with the first thing that goes wrong, whoever notices it. */
  readonly #broken = Promise.withResolvers<never>()
  #pump: RequestBodyPump | undefined
  #isAnswered = false
  /** What the connection had received before this request was its. */
  #bytesReadBefore = 0

  constructor(
    request: RuntimeRequest,
    exchange: RawExchange,
    options: RuntimeClientOptions & { readonly agents: RuntimeAgents },
  ) {
    this.#request = request
    this.#exchange = exchange
    this.#options = options
  }

  /** See `RuntimeClient.forward`; throws `StaleConnectionError` when another attempt is allowed. */
  async run(answerHead: AnswerHead): Promise<{ readonly bytes: number }> {
    const { signal, outgoing } = this.#exchange
    signal.throwIfAborted()
    const fail = this.#broken.reject
    const onAbort = (): void => fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const upstream = this.#open()
    try {
      const broken = this.#broken.promise
      const answer = await Promise.race([this.#head(upstream), broken])
      const bytes = await Promise.race([this.#answer(answer, answerHead), broken])
      return { bytes }
    } catch (error) {
      if (outgoing.headersSent) breakOff(outgoing)
      if (signal.aborted) throw error
      if (this.#isStale(upstream, error)) throw new StaleConnectionError('', { cause: error })
      throw runtimeFailure(error)
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#watchdog.stop()
      this.#pump?.stop()
      // After a complete exchange the connection belongs to the pool and this leaves it alone.
      upstream.destroy()
    }
  }

  #open(): ClientRequest {
    const { url, method, headers, body } = this.#request
    const { agents, checkAddress, lookupAll, connectTimeoutMs } = this.#options
    const isTls = url.protocol === 'https:'
    const upstream = (isTls ? httpsRequest : httpRequest)(url, {
      method,
      headers: { ...headers },
      agent: isTls ? agents.https : agents.http,
      maxHeaderSize: MAX_HEAD_BYTES,
      ...(checkAddress === undefined ? {} : { lookup: checkedLookup(checkAddress, lookupAll) }),
    })
    this.#watch(connectTimeoutMs, 'workspace_unreachable', 'no connection in time')
    upstream.once('socket', (socket) => this.#onSocket(upstream, socket))
    upstream.once('finish', () => {
      if (!this.#isAnswered) {
        this.#watch(this.#options.headersTimeoutMs, 'workspace_timeout', 'no answer in time')
      }
    })
    if (body === undefined) {
      upstream.end()
    } else {
      const { bodyLimit: limit, retained, begun } = this.#request
      this.#pump = new RequestBodyPump(
        { incoming: body, upstream, limit, retained, begun },
        { progressed: this.#progressed, onBroken: this.#broken.reject },
      )
    }
    return upstream
  }

  #onSocket(upstream: ClientRequest, socket: Socket): void {
    this.#bytesReadBefore = socket.bytesRead
    if (socket instanceof OnreadSocket) prepareConnection(upstream, socket)
    if (!socket.connecting) {
      this.#startBody()
      return
    }
    if (this.#options.checkAddress !== undefined) checkPeer(socket, this.#options.checkAddress)
    socket.once(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', () =>
      this.#startBody(),
    )
  }

  /** The client is asked for its body only when there is somebody to take it. */
  #startBody(): void {
    const pump = this.#pump
    if (pump === undefined) return
    this.#watchdog.watch(this.#options.idleTimeoutMs, () =>
      this.#broken.reject(
        pump.isBlockedByRuntime
          ? new AppError('workspace_timeout', { internal: 'took no bytes of the upload' })
          : new AppError('upload_stalled'),
      ),
    )
    pump.start()
  }

  /** Resolves in the very event of the head, so that the connection is held from its first byte. */
  #head(upstream: ClientRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let relay: BodyRelay | undefined
      let interim = 0
      upstream.once('response', (response) => {
        this.#isAnswered = true
        this.#pump?.stop()
        const { method } = this.#request
        try {
          relay = relayFor(upstream, response, { outgoing: this.#exchange.outgoing, method })
          resolve({ response, relay })
        } catch (error) {
          reject(error)
        }
      })
      upstream.on('information', () => {
        interim += 1
        if (interim <= MAX_INTERIM_RESPONSES) return
        reject(invalid('flood of interim responses'))
        // Now and not when the promise is heard: what has been read already holds thousands more.
        upstream.destroy()
      })
      // RFC 9110 s15.2.2: never asked for. Without a listener Node would only hang up.
      upstream.once('upgrade', (_response, socket) => {
        socket.destroy()
        reject(invalid('switched protocols'))
      })
      upstream.on('error', (error) => {
        // A complete answer stays one, even when a reset follows it (an early 413 does that).
        if (relay?.isComplete === true && isConnectionLost(error)) return
        this.#broken.reject(error)
      })
      upstream.once('close', () => {
        if (!this.#isAnswered) reject(new Error('closed without an answer'))
      })
    })
  }

  async #answer({ response, relay }: Answer, answerHead: AnswerHead): Promise<number> {
    const { outgoing } = this.#exchange
    assertIntegrity(response, this.#request.method)
    const head = answerHead({ status: response.statusCode ?? 0, headers: response.headers })
    this.#watchdog.watch(this.#options.idleTimeoutMs, () =>
      this.#broken.reject(
        relay.isBlockedByClient
          ? new Error('client took no bytes')
          : new AppError('workspace_timeout', { internal: 'silent within its answer' }),
      ),
    )
    keepForRest(this.#exchange)
    outgoing.writeHead(head.status, { ...head.headers })
    await relay.move(this.#progressed)
    await new Promise<void>((resolve) => {
      outgoing.end(resolve)
    })
    return relay.bytes
  }

  #watch(timeoutMs: number, code: ErrorCode, internal: string): void {
    this.#watchdog.watch(timeoutMs, () => this.#broken.reject(new AppError(code, { internal })))
  }

  #isStale(upstream: ClientRequest, error: unknown): boolean {
    return (
      this.#request.body === undefined &&
      upstream.reusedSocket &&
      !this.#exchange.outgoing.headersSent &&
      isConnectionLost(error) &&
      upstream.socket?.bytesRead === this.#bytesReadBefore
    )
  }
}

type Answer = { readonly response: IncomingMessage; readonly relay: BodyRelay }

/** Throws for an answer whose end cannot be told from a broken connection, or that is encoded. */
function assertIntegrity(response: IncomingMessage, method: RuntimeRequest['method']): void {
  const { statusCode, headers } = response
  const encoding = headers['content-encoding'] ?? 'identity'
  // We ask for identity; the header would not be passed on and the bytes would be unreadable.
  if (encoding !== 'identity') throw invalid(`content-encoding ${encoding}`)
  // RFC 9112 s7.4: nothing but `chunked` was asked for. What lies below it would have to be undone
  // here, and a coding that does not end in it lets the body end with the connection, as below.
  const coding = headers['transfer-encoding'] ?? 'chunked'
  if (coding.toLowerCase() !== 'chunked') throw invalid('a transfer coding that is not chunked')
  if (method === 'HEAD' || statusCode === 204 || statusCode === 304) return
  // RFC 9112 s6.3 rule 8: such a body ends with the connection, whatever the reason of its end.
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    throw invalid('neither a length nor chunks')
  }
}

function invalid(internal: string): AppError {
  return new AppError('workspace_invalid_response', { internal })
}
