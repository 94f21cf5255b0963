/** @module Turns an answer that is not a success into the failure that the user sees. */
import { z } from 'zod'
import { CliFailure, EXIT, type FailureFacts } from '../failure.ts'
import { printableLine } from '../terminal/printable.ts'

const MAX_TEXT_CHARS = 500

/** The failure contract (design/architecture 7); a foreign or older server may send less. */
const failureObject = z.looseObject({
  error: z.unknown().optional(),
  message: z.string().optional(),
  code: z.union([z.string(), z.number()]).optional(),
  hop: z.string().optional(),
  retryable: z.boolean().optional(),
  retry_after: z.number().optional(),
  retry_after_seconds: z.number().optional(),
  request_id: z.string().optional(),
})
type FailureObject = z.infer<typeof failureObject>

/** A JSON-RPC error carries the same object in `data`. */
const rpcError = z.looseObject({ message: z.string(), data: z.unknown().optional() })

function asFailureObject(value: unknown): FailureObject {
  const parsed = failureObject.safeParse(value)
  return parsed.success ? parsed.data : {}
}

function bounded(text: string): string {
  const line = printableLine(text)
  return line.length > MAX_TEXT_CHARS ? `${line.slice(0, MAX_TEXT_CHARS)}…` : line
}

/** The facts and the text of a failure body, plain or JSON-RPC. */
function readFailure(body: unknown): { readonly text: string; readonly facts: FailureObject } {
  const outer = asFailureObject(body)
  const rpc = rpcError.safeParse(outer.error)
  if (rpc.success) {
    const inner = asFailureObject(rpc.data.data)
    return { text: bounded(rpc.data.message), facts: { ...outer, ...inner } }
  }
  return { text: typeof outer.error === 'string' ? bounded(outer.error) : '', facts: outer }
}

/** A file that the workspace itself cannot read: no other credential would help. */
const UNREADABLE = 'file_forbidden'

function isAboutCredentials(status: number, code: unknown): boolean {
  return status === 401 || (status === 403 && code !== UNREADABLE)
}

function exitCodeFor(status: number, { retryable, code }: FailureObject): number {
  if (status === 404) return EXIT.notFound
  if (isAboutCredentials(status, code)) return EXIT.auth
  if (retryable === true) return EXIT.unreachable
  if (retryable === undefined && (status === 429 || (status >= 502 && status <= 504))) {
    return EXIT.unreachable
  }
  return EXIT.failed
}

/** For what is there, but asked for with the wrong command. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ['not_a_directory', '`atrium files cat` and `get` are for files'],
  ['is_a_directory', '`atrium files ls` and `tar` are for folders'],
])

function hintFor(status: number, code: unknown): string | undefined {
  if (isAboutCredentials(status, code)) {
    return 'set ATRIUM_TOKEN (a workspace token) or ADMIN_TOKEN in the environment'
  }
  return typeof code === 'string' ? HINTS.get(code) : undefined
}

export type FailedAnswer = {
  readonly status: number
  readonly body: unknown
  /** The Retry-After header, when it is a number of seconds. */
  readonly retryAfterSeconds?: number | undefined
  readonly requestId?: string | undefined
}

/** The failure of an HTTP answer with its exit code (docs/cli.md). */
export function answerFailure(answer: FailedAnswer): CliFailure {
  const { text, facts: wire } = readFailure(answer.body)
  const retryAfter = wire.retry_after ?? wire.retry_after_seconds ?? answer.retryAfterSeconds
  const requestId = wire.request_id ?? answer.requestId
  const hint = hintFor(answer.status, wire.code)
  const facts: FailureFacts = {
    status: answer.status,
    ...(typeof wire.code === 'string' ? { code: bounded(wire.code) } : {}),
    ...(wire.hop === undefined ? {} : { hop: bounded(wire.hop) }),
    ...(wire.retryable === undefined ? {} : { retryable: wire.retryable }),
    ...(retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter }),
    ...(requestId === undefined ? {} : { requestId: bounded(requestId) }),
    ...(hint === undefined ? {} : { hint }),
  }
  const message = text === '' ? `the platform answered ${answer.status}` : text
  return new CliFailure(exitCodeFor(answer.status, wire), message, facts)
}
