/** @module Errors that every request to a workspace may meet, whatever is sent there. */

export const FORWARDING = [
  'workspace_not_found',
  'workspace_url_missing',
  'inbound_secret_minted',
  'inbound_secret_unavailable',
  'inbound_secret_read_failed',
  'workspace_auth_mismatch',
  'workspace_unreachable',
  'workspace_invalid_response',
  'workspace_redirected',
  'workspace_timeout',
  'agent_url_not_routable',
] as const
