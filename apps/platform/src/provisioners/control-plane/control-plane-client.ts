/**
 * @module HTTP to a control plane (contract/platform 7.10): five calls, each bounded in time and in
 * bytes. Nothing follows a redirect, and no body is ever logged: credentials go out in one, and what
 * comes back may repeat them.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { Agent, errors, request } from 'undici'
import { z } from 'zod'

const MAX_ANSWER_BYTES = 64 * 1024
const MAX_CONSOLE_ANSWER_BYTES = 256 * 1024
const CONNECT_TIMEOUT_MS = 10_000
const MAX_ERROR_TEXT = 200
/** Shorter values that were sent are words (`TIER=2`) and no credentials. */
const SHORTEST_HIDDEN = 8

export type ControlPlaneOptions = {
  /** Without a trailing slash. */
  readonly baseUrl: string
  readonly orgId: string
  readonly sharedSecret: Secret | undefined
  /** The platform's own admin token: the second header of every call. */
  readonly adminToken: Secret | undefined
  /** For `/cp/admin/*`; the shared secret where there is none. */
  readonly adminApiToken: Secret | undefined
  /** For a whole call, connecting and the last byte included. */
  readonly timeoutMs: number
}

export type ProvisionRequest = {
  readonly workspaceId: string
  readonly generation: number
  readonly runtimeKind: string
  readonly tier: number
  readonly platformUrl: string
  readonly env: Readonly<Record<string, string>>
}

export type Machine = { readonly instanceId: string; readonly privateIp: string }

export type MachineRef = { readonly workspaceId: string; readonly instanceId: string | undefined }

/** `unnamed`: it removes nothing whose instance it is not told. */
export type RemoveOutcome = 'removed' | 'absent' | 'unnamed'

type Call = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: {
    readonly env: Readonly<Record<string, string>>
    readonly [key: string]: unknown
  }
  readonly maxBytes?: number
}

type Answer = { readonly status: number; readonly body: unknown }

const machine = z.looseObject({
  // Comes back as part of a URL, and into logs.
  instance_id: z
    .string()
    .max(256)
    .regex(/^[\x21-\x7e]+$/),
  private_ip: z.union([z.ipv4(), z.ipv6()]),
})
const machineState = z.looseObject({ state: z.string() })
const consoleOutput = z.looseObject({ output: z.string() })
const errorAnswer = z.looseObject({ error: z.string() })

/**
 * Every method throws `control_plane_unreachable`, `control_plane_timeout` or `control_plane_failed`
 * (an answer that is an error, or none), and the reason of a `signal` that is aborted.
 */
export class ControlPlaneClient {
  readonly #options: ControlPlaneOptions
  /** A call that changes something gets a connection of its own: none that the other side closes. */
  readonly #writes: Agent
  readonly #reads: Agent

  constructor(options: ControlPlaneOptions) {
    this.#options = options
    const shared = { connect: { timeout: CONNECT_TIMEOUT_MS }, headersTimeout: 0, bodyTimeout: 0 }
    this.#writes = new Agent({ ...shared, pipelining: 0 })
    this.#reads = new Agent(shared)
  }

  /** Asks for a machine. The same workspace and generation again is the same machine. */
  async provision(input: ProvisionRequest, signal: AbortSignal): Promise<Machine> {
    const call: Call = {
      method: 'POST',
      path: '/cp/workspaces/provision',
      headers: {
        ...this.#headers(this.#options.sharedSecret),
        'idempotency-key': `${input.workspaceId}:${input.generation}`,
      },
      body: {
        org_id: this.#options.orgId,
        workspace_id: input.workspaceId,
        runtime: input.runtimeKind,
        tier: input.tier,
        platform_url: input.platformUrl,
        env: input.env,
      },
    }
    const answer = await this.#send(call, signal)
    if (answer.status !== 201) throw failed(call, answer)
    const parsed = parse(call, machine, answer)
    return { instanceId: parsed.instance_id, privateIp: parsed.private_ip }
  }

  /** Ends a machine. Not there is success; any other refusal is not (wart W18). */
  async remove(ref: MachineRef, signal: AbortSignal): Promise<RemoveOutcome> {
    const call = this.#machineCall('DELETE', '', ref)
    const answer = await this.#send(call, signal)
    if (answer.status === 404) return 'absent'
    if (isSuccess(answer)) return 'removed'
    const isUnnamed = ref.instanceId === undefined && [400, 422].includes(answer.status)
    if (isUnnamed) return 'unnamed'
    throw failed(call, answer)
  }

  /** What the control plane calls the state of a machine; undefined when it knows none (404). */
  async state(ref: MachineRef, signal: AbortSignal): Promise<string | undefined> {
    const call = this.#machineCall('GET', '/status', ref)
    const answer = await this.#send(call, signal)
    if (answer.status === 404) return undefined
    if (!isSuccess(answer)) throw failed(call, answer)
    return parse(call, machineState, answer).state
  }

  /** The serial console; empty where there is none. Hostile text. */
  async console(workspaceId: string, signal: AbortSignal): Promise<string> {
    const { adminApiToken, sharedSecret } = this.#options
    const call: Call = {
      method: 'GET',
      path: `/cp/admin/workspaces/${workspaceId}/console`,
      headers: this.#headers(adminApiToken ?? sharedSecret),
      maxBytes: MAX_CONSOLE_ANSWER_BYTES,
    }
    const answer = await this.#send(call, signal)
    if (answer.status === 404) return ''
    if (!isSuccess(answer)) throw failed(call, answer)
    return parse(call, consoleOutput, answer).output
  }

  /** The document that a tenant gets at its boot, as it comes. */
  async tenantConfig(signal: AbortSignal): Promise<unknown> {
    const { adminToken, orgId } = this.#options
    const call: Call = {
      method: 'GET',
      path: '/cp/tenants/config',
      headers: withoutEmpty({ authorization: bearer(adminToken), 'x-molecule-org-id': orgId }),
    }
    const answer = await this.#send(call, signal)
    if (!isSuccess(answer)) throw failed(call, answer)
    return answer.body
  }

  /** Ends calls and connections. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#writes.destroy(), this.#reads.destroy()])
  }

  #machineCall(method: 'GET' | 'DELETE', suffix: string, ref: MachineRef): Call {
    const query =
      ref.instanceId === undefined
        ? ''
        : `?${new URLSearchParams({ instance_id: ref.instanceId }).toString()}`
    return {
      method,
      path: `/cp/workspaces/${ref.workspaceId}${suffix}${query}`,
      headers: this.#headers(this.#options.sharedSecret),
    }
  }

  #headers(secret: Secret | undefined): Record<string, string> {
    return withoutEmpty({
      authorization: bearer(secret),
      'x-molecule-admin-token': this.#options.adminToken?.reveal() ?? '',
    })
  }

  async #send(call: Call, signal: AbortSignal): Promise<Answer> {
    const deadline = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      signal.throwIfAborted()
      const response = await request(`${this.#options.baseUrl}${call.path}`, {
        method: call.method,
        headers: {
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        body: call.body === undefined ? null : JSON.stringify(call.body),
        dispatcher: call.method === 'GET' ? this.#reads : this.#writes,
        // Total: an answer that only trickles is none.
        signal: AbortSignal.any([signal, deadline]),
      })
      const text = await readBounded(call, response.body, call.maxBytes ?? MAX_ANSWER_BYTES)
      return { status: response.statusCode, body: parseJson(text) }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw deadline.aborted ? timedOut(call, error) : ofTransport(call, error)
    }
  }
}

/** Contract/platform 7.10: an empty value is no header at all. */
function withoutEmpty(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
}

function bearer(secret: Secret | undefined): string {
  const value = secret?.reveal() ?? ''
  return value === '' ? '' : `Bearer ${value}`
}

async function readBounded(
  call: Call,
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  maxBytes: number,
): Promise<string> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body) {
    length += piece.byteLength
    // Leaving the loop destroys the stream, and with it the connection.
    if (length > maxBytes) throw new AppError('control_plane_failed', { internal: tooLong(call) })
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: what the caller needs is missing then, and its schema says so.
    return undefined
  }
}

function parse<T extends z.ZodType>(call: Call, schema: T, answer: Answer): z.output<T> {
  const parsed = schema.safeParse(answer.body)
  if (parsed.success) return parsed.data
  throw new AppError('control_plane_failed', {
    internal: `${nameOf(call)}: status ${answer.status} with an unreadable answer`,
  })
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status <= 299
}

/** Contract/platform 7.10: of a refusal, its `error` and nothing else of the body. */
function failed(call: Call, answer: Answer): AppError {
  const parsed = errorAnswer.safeParse(answer.body)
  const text = parsed.success ? `: ${loggable(call, parsed.data.error)}` : ''
  return new AppError('control_plane_failed', {
    internal: `${nameOf(call)}: status ${answer.status}${text}`,
  })
}

/** Hostile text, and it may repeat what was sent: nothing of that gets through. */
function loggable(call: Call, text: string): string {
  const { authorization = '', ...others } = call.headers
  const sent = [
    authorization.replace('Bearer ', ''),
    ...Object.values(others),
    ...Object.values(call.body?.env ?? {}),
  ]
  const long = sent.filter((value) => value.length >= SHORTEST_HIDDEN)
  const hidden = long.reduce((rest, value) => rest.replaceAll(value, '[hidden]'), text)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
  const controls = /[\u0000-\u001f\u007f-\u009f]/g
  return hidden.slice(0, MAX_ERROR_TEXT).replaceAll(controls, '\ufffd')
}

function timedOut(call: Call, cause: unknown): AppError {
  return new AppError('control_plane_timeout', { internal: nameOf(call), cause })
}

function ofTransport(call: Call, cause: unknown): AppError {
  if (cause instanceof AppError) return cause
  const isNonsense =
    cause instanceof errors.HTTPParserError || cause instanceof errors.HeadersOverflowError
  return new AppError(isNonsense ? 'control_plane_failed' : 'control_plane_unreachable', {
    internal: nameOf(call),
    cause,
  })
}

function tooLong(call: Call): string {
  return `${nameOf(call)}: the answer is too long`
}

/** For the log: neither query nor headers. */
function nameOf({ method, path }: Call): string {
  return `${method} ${path.replace(/\?.*/, '')}`
}
