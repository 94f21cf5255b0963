/** @module Forwarding and A2A. */
import type { ErrorEntries } from './error-entry.ts'

export const FORWARDING_ERRORS = {
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
  rotation_in_progress: {
    status: 409,
    text: 'the inbound secret is being rotated already; wait until the workspace has taken the new one',
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
  agent_restarting: {
    status: 503,
    text: 'workspace agent unreachable — container restart triggered',
    retryable: true,
    retryAfterSeconds: 15,
    hop: 'workspace',
  },
  agent_busy: {
    status: 503,
    text: 'workspace agent busy — retry after a short backoff',
    retryable: true,
    retryAfterSeconds: 30,
    hop: 'workspace',
  },
  idempotency_conflict: {
    status: 409,
    text: 'this key was used for another message',
    retryable: false,
  },
  queue_full: {
    status: 429,
    text: 'too many messages wait for this workspace',
    retryable: true,
    retryAfterSeconds: 30,
  },
  delivery_not_found: { status: 404, text: 'not found', retryable: false },
  delivery_not_cancelable: {
    status: 409,
    text: 'the message is on its way, or over: it is not in the queue any more',
    retryable: false,
  },
  delivery_over: {
    status: 409,
    text: 'the message is over, or has another answer',
    retryable: false,
  },
  drop_stale_failed: { status: 500, text: 'failed to drop stale items', retryable: true },
  delivery_outcome_unknown: {
    status: 502,
    text: 'the agent was sent the message and broke off; whether it acted on it is unknown',
    retryable: false,
    hop: 'workspace',
  },
  delivery_failed: {
    status: 502,
    text: 'the message could not be delivered',
    retryable: false,
  },
  delivery_answer_gone: {
    status: 409,
    text: 'this message was answered, and the answer was not kept',
    retryable: false,
  },
  stream_interrupted: {
    status: 502,
    text: 'the stream of the agent ended and the end of its task is not known',
    retryable: true,
    hop: 'workspace',
  },
  stream_overflow: {
    status: 503,
    text: 'the reader of this stream did not keep up',
    retryable: true,
  },

  // Delegations (contract/platform 4.10)
  invalid_delegation: { status: 400, text: 'invalid delegation request', retryable: false },
  self_delegation: { status: 400, text: 'self-delegation not permitted', retryable: false },
  delegation_not_found: { status: 404, text: 'delegation not found', retryable: false },
  delegation_conflict: {
    status: 409,
    text: 'this delegation_id is used already',
    retryable: false,
  },
  delegation_over: {
    status: 409,
    text: 'the delegation has come to another end already',
    retryable: false,
  },
  // The contract's words of a message that has nowhere to go, of one where waiting does not help.
  workspace_failed: { status: 503, text: 'workspace has no URL', retryable: false },
  workspace_has_no_url: { status: 503, text: 'workspace has no URL', retryable: true },
} as const satisfies ErrorEntries
