/**
 * @module One failure contract (design/architecture 7, H17 to H19): every error either app answers
 * with stands in `ERROR_TABLE`, and `describeFailure` is the only thing that turns one into a body.
 */

/** Where a failure arose: in the platform, in (or on the way to) the workspace, in its back-end. */
export type Hop = 'platform' | 'workspace' | 'provisioner'

type ErrorEntry = {
  readonly status:
    | 400
    | 401
    | 402
    | 403
    | 404
    | 405
    | 408
    | 409
    | 410
    | 412
    | 413
    | 415
    | 416
    | 429
    | 500
    | 502
    | 503
    | 504
    | 507
  /** The public text: the contract's exact words where it has them (H18). */
  readonly text: string
  /** Whether the same request may succeed later without anybody changing it. */
  readonly retryable: boolean
  /** Fixed when the failure is always of one hop; otherwise the app that renders it. */
  readonly hop?: Hop
  /** Seconds for `Retry-After`, the `retry_after` key and, where the contract says so, aliases. */
  readonly retryAfterSeconds?: number
}

/** Codes are wire values: stable, never reused. `docs/errors.md` is tested against this table. */
export const ERROR_TABLE = {
  // Requests
  invalid_request_body: { status: 400, text: 'invalid request body', retryable: false },
  invalid_query: { status: 400, text: 'invalid query', retryable: false },
  not_found: { status: 404, text: 'not found', retryable: false },
  method_not_allowed: { status: 405, text: 'method not allowed', retryable: false },
  request_timeout: { status: 408, text: 'request body did not arrive in time', retryable: true },
  payload_too_large: { status: 413, text: 'payload too large', retryable: false },
  range_not_satisfiable: { status: 416, text: 'range not satisfiable', retryable: false },
  internal: { status: 500, text: 'internal error', retryable: false },
  shutting_down: { status: 503, text: 'shutting down', retryable: true, retryAfterSeconds: 5 },
  // The contract's own code (contract/platform 1.0).
  platform_unavailable: {
    status: 503,
    text: 'platform datastore unavailable — retry shortly',
    retryable: true,
    retryAfterSeconds: 5,
  },
  host_not_allowed: {
    status: 403,
    text: 'host not allowed: development mode answers to loopback names only',
    retryable: false,
  },
  origin_not_allowed: {
    status: 403,
    text: 'origin not allowed: development mode is not open to web pages',
    retryable: false,
  },

  // Identity (contract/platform 3)
  unauthorized: { status: 401, text: 'unauthorized', retryable: false },
  admin_auth_required: { status: 401, text: 'admin auth required', retryable: false },
  invalid_admin_token: { status: 401, text: 'invalid admin auth token', retryable: false },
  missing_workspace_token: {
    status: 401,
    text: 'missing workspace auth token',
    retryable: false,
  },
  invalid_workspace_token: {
    status: 401,
    text: 'invalid workspace auth token',
    retryable: false,
  },

  // Who speaks to an agent (contract/platform 3.8, 4.2)
  invalid_caller_id: { status: 403, text: 'invalid caller ID', retryable: false },
  invalid_caller_token: { status: 401, text: 'invalid caller auth token', retryable: false },
  access_denied: {
    status: 403,
    text: 'access denied: workspaces cannot communicate per hierarchy rules',
    retryable: false,
  },
  budget_exceeded: { status: 402, text: 'workspace budget limit exceeded', retryable: false },

  // Activity (contract/platform 5)
  invalid_activity_type: {
    status: 400,
    text: 'invalid activity_type, must be one of: a2a_send, a2a_receive, task_update, agent_log, skill_promotion, memory_write, error',
    retryable: false,
  },
  activity_source_mismatch: {
    status: 403,
    text: 'source_id must match authenticated workspace',
    retryable: false,
  },
  message_required: { status: 400, text: 'message is required', retryable: false },
  attachment_incomplete: {
    status: 400,
    text: 'attachment: uri and name are required',
    retryable: false,
  },
  activity_cursor_gone: {
    status: 410,
    text: 'since_id is not, or no longer, an activity of this workspace; begin again without it',
    retryable: false,
  },
  activity_query_failed: { status: 500, text: 'query failed', retryable: true },

  // Workspaces (contract/platform 7)
  invalid_workspace_id: { status: 400, text: 'invalid workspace ID', retryable: false },
  workspace_not_found: { status: 404, text: 'workspace not found', retryable: false },
  invalid_workspace_payload: { status: 400, text: 'invalid workspace payload', retryable: false },
  invalid_workspace_fields: { status: 400, text: 'invalid workspace fields', retryable: false },
  invalid_workspace_directory: {
    status: 400,
    text: 'invalid workspace directory',
    retryable: false,
  },
  invalid_workspace_access: { status: 400, text: 'invalid workspace access', retryable: false },
  invalid_delivery_mode: {
    status: 400,
    text: "delivery_mode must be 'push' or 'poll'",
    retryable: false,
  },
  invalid_template: { status: 400, text: 'invalid template', retryable: false },
  create_failed: { status: 500, text: 'failed to create workspace', retryable: false },
  confirmation_required: {
    status: 409,
    text: 'workspace has children; repeat with ?confirm=true to delete them too',
    retryable: false,
  },
  stop_failed: {
    status: 500,
    text: 'failed to stop workspace',
    retryable: true,
    hop: 'provisioner',
  },
  provisioner_unavailable: {
    status: 503,
    text: 'provisioner not available',
    retryable: false,
    hop: 'provisioner',
  },
  console_unavailable: {
    status: 404,
    text: 'this workspace has no console output on this platform',
    retryable: false,
  },

  // Registry (contract/platform 2)
  invalid_agent_url: { status: 400, text: 'url is not valid', retryable: false },
  agent_url_required: { status: 400, text: 'url is required', retryable: false },
  registration_failed: { status: 500, text: 'registration failed', retryable: true },
  heartbeat_failed: { status: 500, text: 'failed to update', retryable: true },

  // Paths (contract/platform 6.3)
  path_required: { status: 400, text: 'path query required', retryable: false },
  path_not_absolute: { status: 400, text: 'path must be absolute', retryable: false },
  path_outside_roots: {
    status: 400,
    text: 'path must be under /configs, /workspace, /home, or /plugins',
    retryable: false,
  },
  invalid_path: { status: 400, text: 'invalid path', retryable: false },

  // Files in the workspace (contract/runtime 2.2 and 3.1)
  file_not_found: { status: 404, text: 'file not found', retryable: false },
  file_forbidden: { status: 403, text: 'file is not readable', retryable: false },
  not_a_regular_file: { status: 400, text: 'path is not a regular file', retryable: false },
  stat_failed: { status: 500, text: 'stat failed', retryable: true },
  declared_length_exceeds_total: {
    status: 413,
    text: 'request body exceeds total limit (50 MB)',
    retryable: false,
  },
  total_limit_exceeded: {
    status: 413,
    text: 'total request body exceeds limit (50 MB)',
    retryable: false,
  },
  file_limit_exceeded: {
    status: 413,
    text: 'file exceeds per-file limit (25 MB)',
    retryable: false,
  },
  multipart_malformed: { status: 400, text: 'failed to parse multipart form', retryable: false },
  files_field_missing: {
    status: 400,
    text: "expected at least one 'files' field",
    retryable: false,
  },
  uploads_dir_failed: { status: 500, text: 'failed to prepare uploads dir', retryable: true },
  upload_collision: { status: 500, text: 'internal collision; retry', retryable: true },
  upload_write_failed: { status: 500, text: 'failed to write file', retryable: true },
  upload_stalled: { status: 400, text: 'upload stalled', retryable: true },
  insufficient_storage: { status: 507, text: 'insufficient storage', retryable: true },
  agent_not_configured: {
    status: 503,
    text: 'agent is not configured',
    retryable: false,
    hop: 'workspace',
  },
  agent_starting: {
    status: 503,
    text: 'agent is starting',
    retryable: true,
    hop: 'workspace',
    retryAfterSeconds: 5,
  },

  // Forwarding (contract/platform 6.1, contract/runtime 5)
  workspace_url_missing: {
    status: 503,
    text: 'workspace url not registered yet',
    retryable: true,
    retryAfterSeconds: 5,
  },
  inbound_secret_minted: {
    status: 503,
    text: 'workspace inbound secret was just minted; retry in 30 seconds',
    retryable: true,
    retryAfterSeconds: 30,
  },
  inbound_secret_unavailable: {
    status: 503,
    text: 'workspace inbound secret is missing and could not be minted (RFC #2312). Reprovision the workspace',
    retryable: false,
  },
  inbound_secret_read_failed: {
    status: 500,
    text: 'failed to read workspace secret',
    retryable: true,
  },
  workspace_auth_mismatch: {
    status: 502,
    text: 'workspace refused the platform: its inbound secret is out of date and is being delivered again; retry in 30 seconds',
    retryable: true,
    hop: 'workspace',
    retryAfterSeconds: 30,
  },
  workspace_unreachable: {
    status: 502,
    text: 'workspace unreachable',
    retryable: true,
    hop: 'workspace',
  },
  workspace_invalid_response: {
    status: 502,
    text: 'workspace sent an invalid response',
    retryable: false,
    hop: 'workspace',
  },
  workspace_redirected: {
    status: 502,
    text: 'workspace answered with a redirect, which is never followed',
    retryable: false,
    hop: 'workspace',
  },
  workspace_timeout: {
    status: 504,
    text: 'workspace went silent',
    retryable: true,
    hop: 'workspace',
  },

  // A2A (contract/platform 4.2, 4.5)
  agent_url_not_routable: {
    status: 502,
    text: 'workspace URL is not publicly routable',
    retryable: false,
  },
  agent_unreachable: {
    status: 502,
    text: 'failed to reach workspace agent',
    retryable: true,
    hop: 'workspace',
  },
  agent_error: {
    status: 502,
    text: 'agent answered with an error',
    retryable: false,
    hop: 'workspace',
  },
  workspace_has_no_url: { status: 503, text: 'workspace has no URL', retryable: true },
  delivery_mode_unsupported: {
    status: 503,
    text: 'workspace is in poll mode; message delivery to it is not available yet',
    retryable: false,
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>

export type ErrorCode = keyof typeof ERROR_TABLE

export type AppErrorOptions = {
  /** Public text in place of the table's, where the contract's words contain a value. */
  readonly message?: string
  /** For the log only; never leaves the process. */
  readonly internal?: string
  readonly cause?: unknown
  /** Extra public keys of the body; must not contain ids of others, paths or upstream text. */
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** A failure with a code from `ERROR_TABLE`; everything else that is thrown is our bug (500). */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly publicText: string
  readonly internal: string | undefined
  readonly extensions: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.internal ?? options.message ?? ERROR_TABLE[code].text, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.publicText = options.message ?? ERROR_TABLE[code].text
    this.internal = options.internal
    this.extensions = options.extensions ?? {}
    this.headers = options.headers ?? {}
  }

  get status(): ErrorEntry['status'] {
    return ERROR_TABLE[this.code].status
  }
}

/** The public half of a failure, ready for any renderer (HTTP body or JSON-RPC `error.data`). */
export type FailureDescription = {
  readonly status: ErrorEntry['status']
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>> & {
    readonly error: string
    readonly code: ErrorCode
    readonly hop: Hop
    readonly retryable: boolean
    readonly request_id: string
  }
}

/** The `AppError` behind a thrown value: itself, one of its causes, or undefined. */
export function findAppError(thrown: unknown): AppError | undefined {
  let current = thrown
  // Stream and client libraries wrap what a callback threw; four levels are more than any does.
  for (let depth = 0; depth < 4 && current instanceof Error; depth += 1) {
    if (current instanceof AppError) return current
    current = current.cause
  }
  return undefined
}

/**
 * What the client may know about a failure. Anything that is not an `AppError` is `internal`:
 * its own text goes to the log, never here.
 */
export function describeFailure(
  thrown: unknown,
  context: { readonly hop: Hop; readonly requestId: string },
): FailureDescription {
  const error = findAppError(thrown) ?? new AppError('internal')
  const entry: ErrorEntry = ERROR_TABLE[error.code]
  const retryAfter = entry.retryAfterSeconds
  return {
    status: entry.status,
    headers: {
      ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }),
      ...error.headers,
    },
    body: {
      error: error.publicText,
      code: error.code,
      hop: entry.hop ?? context.hop,
      retryable: entry.retryable,
      // The contract's chat routes say `retry_after_seconds` (6.1), its proxy says `retry_after` (4.2).
      ...(retryAfter === undefined
        ? {}
        : { retry_after: retryAfter, retry_after_seconds: retryAfter }),
      ...error.extensions,
      request_id: context.requestId,
    },
  }
}
