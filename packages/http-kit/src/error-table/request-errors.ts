/** @module Requests, identity, activity. */
import type { ErrorEntries } from './error-entry.ts'

export const REQUEST_ERRORS = {
  // Requests
  invalid_request_body: { status: 400, text: 'invalid request body', retryable: false },
  invalid_query: { status: 400, text: 'invalid query', retryable: false },
  not_found: { status: 404, text: 'not found', retryable: false },
  method_not_allowed: { status: 405, text: 'method not allowed', retryable: false },
  request_timeout: { status: 408, text: 'request body did not arrive in time', retryable: true },
  payload_too_large: { status: 413, text: 'payload too large', retryable: false },
  range_not_satisfiable: { status: 416, text: 'range not satisfiable', retryable: false },
  rate_limit_exceeded: { status: 429, text: 'rate limit exceeded', retryable: true },
  internal: { status: 500, text: 'internal error', retryable: false },
  shutting_down: { status: 503, text: 'shutting down', retryable: true, retryAfterSeconds: 5 },
  too_many_streams: {
    status: 503,
    text: 'too many event streams',
    retryable: true,
    retryAfterSeconds: 15,
  },
  too_many_waits: {
    status: 429,
    text: 'too many requests wait for the activity of this workspace',
    retryable: true,
    retryAfterSeconds: 5,
  },
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
  session_unverified: {
    status: 503,
    text: 'session could not be verified: the control plane did not answer',
    retryable: true,
    retryAfterSeconds: 5,
  },
  token_limit_reached: {
    status: 429,
    text: 'maximum 50 active tokens per workspace',
    retryable: false,
  },
  token_not_found: { status: 404, text: 'token not found or already revoked', retryable: false },
  name_too_long: { status: 400, text: 'name too long (max 100 chars)', retryable: false },

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
  activity_cursor_limit: {
    status: 409,
    text: 'maximum 32 activity cursors per workspace',
    retryable: false,
  },
  activity_query_failed: { status: 500, text: 'query failed', retryable: true },
} as const satisfies ErrorEntries
