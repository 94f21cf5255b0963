/** @module The runtime's only outbound HTTP: JSON posted to the platform's registry (H3). */
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { Agent, request } from 'undici'

/** Contract/runtime 7.1, 7.2: for a whole call, connecting and the last byte included. */
const CALL_TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024

export type PlatformAnswer = {
  readonly status: number
  /** From `Retry-After` in seconds; undefined when absent or a date. */
  readonly retryAfterMs: number | undefined
  /** Parsed JSON, or undefined when the body is not JSON. */
  readonly body: unknown
}

export type PlatformClientOptions = {
  readonly platformUrl: string
  readonly workspaceId: string
  readonly authToken: { current(): string | undefined }
  readonly timeoutMs?: number
}

/** Every call carries the workspace token when there is one, and says whose call it is. */
export class PlatformClient {
  readonly #options: PlatformClientOptions
  readonly #timeoutMs: number
  readonly #agent = new Agent({
    connect: { timeout: CALL_TIMEOUT_MS },
    maxResponseSize: MAX_ANSWER_BYTES,
  })

  constructor(options: PlatformClientOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS
  }

  /**
   * Posts `body` as JSON and resolves with whatever status comes back; redirects are answers like
   * any other and never followed. Rejects when there is no answer in time or `signal` is aborted.
   */
  async post(path: string, body: unknown, signal: AbortSignal): Promise<PlatformAnswer> {
    const token = this.#options.authToken.current()
    const response = await request(`${this.#options.platformUrl}${path}`, {
      method: 'POST',
      dispatcher: this.#agent,
      // Total: an answer that only trickles would hold up every beat after it.
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'x-workspace-id': this.#options.workspaceId,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    })
    return {
      status: response.statusCode,
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
      body: parseJson(await response.body.text()),
    }
  }

  /** Ends the connections. Idempotent. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the caller's schema says what is missing.
    return undefined
  }
}

/** The error of a failed call in one line, without the address book of its cause. */
export function describeCallFailure(error: unknown): string {
  return errorCodeOf(error) ?? (error instanceof Error ? error.name : 'unknown error')
}
