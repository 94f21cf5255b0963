/**
 * @module Job control of a host (contract/shellctl): run, wait, delete. Where it is was written down
 * by an operator; what it answers is hostile all the same, and its words never reach a client.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { Agent, request } from 'undici'
import { z } from 'zod'
import { urlBelow } from '../domain/upstream-url.ts'
import type { LookupAll } from './address-guard.ts'
import type { AddressPolicy } from './agent-address.ts'
import { agentConnector } from './guarded-connector.ts'
import { lenientBoolean, lenientCount } from './lenient-fields.ts'

/** contract/runtime 20.1 */
const CALL_SECONDS = 20
/** Less for the first call: it tells the id of the job, and without that nobody can delete it. */
const START_SECONDS = 2
export const MAX_WINDOW_BYTES = 1_048_576
const TERMINAL = { cols: 4096, rows: 200 } as const
/** So long a pause in its output makes the host tell what there is; the end of the job does so at once. */
const IDLE_FLUSH_SECONDS = 0.5
/** The host answers at the end of its own 20 s, and its answer takes a while to come here. */
const CALL_TIMEOUT_MS = 25_000
const DELETE_TIMEOUT_MS = 5_000
/** As JSON a byte of output is six characters at most; the rest of an answer is short. */
const MAX_ANSWER_BYTES = 6 * MAX_WINDOW_BYTES + 64 * 1024

export type ShellctlHost = { readonly url: URL; readonly token: Secret }

export type ShellctlJob = {
  readonly script: string
  readonly env: Readonly<Record<string, string>>
}

/** What the job wrote since the window before; `offset` is where the next one begins. */
export type JobWindow = {
  readonly output: string
  readonly offset: number
  readonly isDone: boolean
  readonly isTruncated: boolean
}

// Ids go into addresses. They look like `05211530-k7p`.
const jobId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
const jobStarted = z.object({ job_id: jobId })
const jobResult = z.object({
  job_id: z.string(),
  done: lenientBoolean,
  // Bytes that the terminal showed; characters are never more.
  output: z.string().max(MAX_WINDOW_BYTES),
  offset: lenientCount,
  truncated: lenientBoolean,
})
const hostError = z.object({
  error: z.object({ code: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/) }),
})

type HostCall = {
  readonly method: 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal: AbortSignal
}

type HostAnswer = { readonly status: number; readonly body: unknown }

export class ShellctlClient {
  readonly #agent: Agent

  constructor(options: {
    readonly connectTimeoutMs: number
    readonly policy: AddressPolicy
    /** The system's unless given. */
    readonly lookupAll?: LookupAll
  }) {
    const { connectTimeoutMs: timeoutMs, policy, lookupAll } = options
    this.#agent = new Agent({
      connect: agentConnector({ timeoutMs, policy, lookupAll }),
      maxHeaderSize: 16 * 1024,
      // Each call says itself how long it may take.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /**
   * Starts the job, and waits for its first output. `onJob` is told of the job as soon as there is
   * one, whatever else is wrong with the answer: whoever started a job has to delete it. Throws
   * `shellctl_error`.
   */
  async run(
    host: ShellctlHost,
    job: ShellctlJob,
    { signal, onJob }: { readonly signal: AbortSignal; readonly onJob: (id: string) => void },
  ): Promise<JobWindow> {
    const body = { ...job, terminal: TERMINAL, ...windowLimits(START_SECONDS) }
    const answer = await this.#call(host, { method: 'POST', path: '/v1/jobs/run', body, signal })
    const started = jobStarted.safeParse(answer.body)
    if (!isSuccess(answer) || !started.success) throw refused('run', answer)
    onJob(started.data.job_id)
    return windowOf('run', answer)
  }

  /** More of the output. Throws `shellctl_error`. */
  async wait(
    host: ShellctlHost,
    { id, offset }: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<JobWindow> {
    const path = `/v1/jobs/${encodeURIComponent(id)}/wait`
    const body = { offset, ...windowLimits(CALL_SECONDS) }
    return windowOf('wait', await this.#call(host, { method: 'POST', path, body, signal }))
  }

  /** Ends the job and forgets it; one that is not there is no failure. Throws `shellctl_error`. */
  async delete(host: ShellctlHost, id: string): Promise<void> {
    const path = `/v1/jobs/${encodeURIComponent(id)}`
    const signal = AbortSignal.timeout(DELETE_TIMEOUT_MS)
    const query = { force: 'true' }
    const answer = await this.#call(host, { method: 'DELETE', path, query, signal })
    if (!isSuccess(answer) && codeOf(answer) !== 'job_not_found') throw refused('delete', answer)
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #call(host: ShellctlHost, call: HostCall): Promise<HostAnswer> {
    try {
      // Redirects are not followed: the token is for this address.
      const response = await request(urlBelow(host.url, call.path, call.query), {
        method: call.method,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${host.token.reveal()}`,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: AbortSignal.any([call.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
        dispatcher: this.#agent,
      })
      return { status: response.statusCode, body: await boundedJson(response.body) }
    } catch (error) {
      throw new AppError('shellctl_error', { cause: error })
    }
  }
}

function windowLimits(seconds: number) {
  return {
    timeout: seconds,
    output_limit: MAX_WINDOW_BYTES,
    idle_flush_seconds: IDLE_FLUSH_SECONDS,
  }
}

function isSuccess({ status }: HostAnswer): boolean {
  return status >= 200 && status < 300
}

function windowOf(call: string, answer: HostAnswer): JobWindow {
  const result = jobResult.safeParse(answer.body)
  if (!isSuccess(answer) || !result.success) throw refused(call, answer)
  const { output, offset, done, truncated } = result.data
  return { output, offset, isDone: done, isTruncated: truncated }
}

function codeOf(answer: HostAnswer): string | undefined {
  return hostError.safeParse(answer.body).data?.error.code
}

/** For the log: which call, the status and the code, and nothing else that the host says. */
function refused(call: string, answer: HostAnswer): AppError {
  const code = codeOf(answer) ?? (isSuccess(answer) ? 'malformed' : 'no code')
  return new AppError('shellctl_error', { internal: `${call}: ${answer.status} ${code}` })
}

/** What is no JSON is undefined, which no schema takes. Throws when there is too much of it. */
async function boundedJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const pieces: Buffer[] = []
  let total = 0
  for await (const piece of body) {
    total += piece.length
    if (total > MAX_ANSWER_BYTES) throw new Error('the answer of the job-control host is too long')
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch {
    // Not a swallowed failure: what is no JSON is refused by whoever reads it.
    return undefined
  }
}
