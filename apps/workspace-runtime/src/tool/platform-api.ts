/** @module The tool's calls to the platform, with the workspace's own token. */
import type { Clock } from '@atrium/http-kit/clock'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { Agent, type Dispatcher, type FormData, request } from 'undici'
import { EXIT, ToolFailure } from './tool-failure.ts'
import type { ToolSettings } from './tool-settings.ts'

const CONNECT_TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const MAX_RETRIES = 4
const LONGEST_WAIT_MS = 30_000

export type PlatformCall = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly json?: unknown
  readonly form?: FormData
  /** A call that may be made again without doing anything twice. */
  readonly isRepeatable: boolean
  readonly headers?: Readonly<Record<string, string>>
}

export type PlatformReply = { readonly status: number; readonly body: unknown }

export type PlatformApiDeps = {
  readonly settings: ToolSettings
  readonly clock: Clock
  readonly signal: AbortSignal
  /** For a whole command, its repetitions included. */
  readonly timeoutMs: number
}

export class PlatformApi {
  readonly #deps: PlatformApiDeps
  readonly #agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    // Bounded by the command's own time: an agent that works says nothing for minutes.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: MAX_ANSWER_BYTES,
  })
  readonly #deadline: AbortSignal

  constructor(deps: PlatformApiDeps) {
    this.#deps = deps
    this.#deadline = AbortSignal.timeout(deps.timeoutMs)
  }

  /**
   * The answer, whatever its status, unless that is a refusal that another try may turn: those are
   * made for repeatable calls. Throws `ToolFailure` when there is none.
   */
  async call(call: PlatformCall): Promise<PlatformReply> {
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await this.#attempt(call)
      if (!('retryAfterMs' in outcome)) return outcome
      const isLast = attempt >= MAX_RETRIES || !call.isRepeatable
      if (isLast) {
        if ('reply' in outcome) return outcome.reply
        throw outcome.failure
      }
      await this.pause(Math.min(outcome.retryAfterMs ?? 1_000 * 2 ** attempt, LONGEST_WAIT_MS))
    }
  }

  /** Throws `ToolFailure` when the command's time is over first. */
  async pause(ms: number): Promise<void> {
    try {
      await this.#deps.clock.sleep(ms, AbortSignal.any([this.#deps.signal, this.#deadline]))
    } catch (cause) {
      throw this.#broken(cause)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #attempt(call: PlatformCall): Promise<PlatformReply | Retryable> {
    const { settings, signal } = this.#deps
    let response: Dispatcher.ResponseData
    try {
      response = await request(`${settings.platformUrl}${call.path}`, {
        method: call.method,
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, this.#deadline]),
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${settings.token()}`,
          'x-workspace-id': settings.workspaceId,
          ...(call.json === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        body: call.form ?? (call.json === undefined ? null : JSON.stringify(call.json)),
      })
      const body = jsonOf(await response.body.text())
      const reply = { status: response.statusCode, body }
      if (!isRetryable(reply)) return reply
      return { reply, retryAfterMs: secondsOf(response.headers['retry-after']) }
    } catch (cause) {
      if (cause instanceof ToolFailure) throw cause
      const failure = this.#broken(cause)
      if (signal.aborted || this.#deadline.aborted) throw failure
      return { failure, retryAfterMs: undefined }
    }
  }

  #broken(cause: unknown): ToolFailure {
    if (this.#deps.signal.aborted) return new ToolFailure(EXIT.unreachable, 'interrupted')
    const reason = this.#deadline.aborted
      ? `no answer within ${this.#deps.timeoutMs / 1_000} s`
      : (errorCodeOf(cause) ?? 'the connection broke')
    return new ToolFailure(EXIT.unreachable, `the platform cannot be reached: ${reason}`, { cause })
  }
}

type Retryable =
  | { readonly reply: PlatformReply; readonly retryAfterMs: number | undefined }
  | { readonly failure: ToolFailure; readonly retryAfterMs: number | undefined }

/** The platform says so itself (docs/errors.md); what stands before it says it by the status. */
function isRetryable({ status, body }: PlatformReply): boolean {
  if (status !== 429 && status !== 502 && status !== 503 && status !== 504) return false
  const isObject = typeof body === 'object' && body !== null
  return !(isObject && 'retryable' in body && body.retryable === false)
}

function secondsOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,5}$/.test(header) ? Number(header) * 1_000 : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whoever asked says what is missing.
    return undefined
  }
}
