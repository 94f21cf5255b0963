/** @module The reference of the registry, of credentials, and of operating the platform. */
import {
  heartbeatRequest,
  heartbeatResponse,
  registerRequest,
  registerResponse,
} from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import { auditPageResponse } from '../wire/audit.wire.ts'
import {
  accessResponse,
  cardUpdatedResponse,
  checkAccessRequest,
  discoveredResponse,
  peerResponse,
  updateCardRequest,
} from '../wire/discovery.wire.ts'
import { inboundSecretResponse } from '../wire/inbound-secret.wire.ts'
import { livenessResponse } from '../wire/liveness.wire.ts'
import {
  mintedOrgTokenResponse,
  mintedTokenResponse,
  orgTokenBody,
  orgTokenListResponse,
  orgTokenRevokedResponse,
  pageQuery,
  testTokenResponse,
  tokenListResponse,
  tokenRevokedResponse,
} from '../wire/token.wire.ts'
import { type Operations, ok } from './operation.ts'

// JSON of any shape: the schema that judges it refers to itself.
const card = z.unknown().describe("The agent's card, any JSON but null.")
const REGISTRY_GATE = ['missing_workspace_token', 'invalid_workspace_token'] as const
const testToken = {
  tag: 'Credentials',
  summary: 'Mint a token for a test',
  description: 'Only where ATRIUM_ENABLE_TEST_TOKENS is set; elsewhere it does not exist.',
  answers: ok(testTokenResponse, 'Shown this once.'),
  errors: [
    'admin_auth_required',
    'invalid_workspace_id',
    'workspace_not_found',
    'token_limit_reached',
    'not_found',
    'origin_not_allowed',
  ],
  security: ['operatorToken'],
} as const

export const PLATFORM_OPERATIONS: Operations = {
  'POST /registry/register': {
    tag: 'Registry',
    summary: 'Announce the agent of a workspace',
    description:
      'A token is in the answer only where the workspace had none. `inbound_secret_id` says which inbound secret is held.',
    body: { schema: registerRequest.extend({ agent_card: card }) },
    answers: ok(registerResponse, 'Registered.'),
    errors: [
      ...REGISTRY_GATE,
      'invalid_delivery_mode',
      'agent_url_required',
      'invalid_agent_url',
      'stale_generation',
      'registration_failed',
      'payload_too_large',
    ],
    security: ['workspaceToken'],
  },
  'POST /registry/heartbeat': {
    tag: 'Registry',
    summary: 'Say that the agent of a workspace is alive, and how it is',
    body: { schema: heartbeatRequest },
    answers: ok(heartbeatResponse, 'Noted; with the inbound secret unless the beat proved it.'),
    errors: [...REGISTRY_GATE, 'stale_generation', 'heartbeat_failed', 'payload_too_large'],
    security: ['workspaceToken'],
  },
  'POST /registry/update-card': {
    tag: 'Registry',
    summary: 'Replace the card of an agent',
    body: { schema: updateCardRequest.extend({ agent_card: card }) },
    answers: ok(cardUpdatedResponse, 'Replaced.'),
    errors: [...REGISTRY_GATE, 'card_update_failed', 'payload_too_large'],
    security: ['workspaceToken'],
  },
  'POST /registry/check-access': {
    tag: 'Registry',
    summary: 'Ask whether two workspaces may talk to each other',
    body: { schema: checkAccessRequest },
    answers: ok(accessResponse, 'Yes or no.'),
    errors: ['payload_too_large'],
    security: [],
  },
  'GET /registry/discover/:id': {
    tag: 'Registry',
    summary: 'Ask where another workspace is',
    headers: z.object({ 'x-workspace-id': z.uuid().describe('Who asks.') }),
    answers: ok(discoveredResponse, 'As the asker reaches it.'),
    errors: [
      ...REGISTRY_GATE,
      'invalid_workspace_id',
      'workspace_id_header_required',
      'discovery_denied',
      'workspace_url_unsafe',
      'workspace_not_available',
    ],
    security: ['workspaceToken', 'operatorToken'],
  },
  'GET /registry/:id/peers': {
    tag: 'Registry',
    summary: 'List the workspaces that one may talk to',
    query: z.object({ q: z.string().optional().describe('Part of a name or role.') }),
    answers: ok(z.array(peerResponse), 'Its peers.'),
    errors: [...REGISTRY_GATE, 'invalid_workspace_id', 'workspace_not_found'],
    security: ['workspaceToken', 'operatorToken'],
  },
  'GET /workspaces/:id/tokens': {
    tag: 'Credentials',
    summary: 'List the live tokens of a workspace',
    query: pageQuery,
    answers: ok(tokenListResponse, 'By prefix; the tokens themselves are stored nowhere.'),
    errors: ['invalid_query'],
  },
  'POST /workspaces/:id/tokens': {
    tag: 'Credentials',
    summary: 'Mint a token for the people of a workspace',
    answers: { 201: { description: 'Shown this once.', schema: mintedTokenResponse } },
    errors: ['workspace_not_found', 'token_limit_reached'],
  },
  'DELETE /workspaces/:id/tokens/:tokenId': {
    tag: 'Credentials',
    summary: 'Revoke a token of a workspace',
    answers: ok(tokenRevokedResponse, 'Revoked.'),
    errors: ['token_not_found'],
  },
  'GET /workspaces/:id/inbound-secret': {
    tag: 'Credentials',
    summary: 'Say how the inbound secret of a workspace stands',
    answers: ok(inboundSecretResponse, 'Everything but the secret.'),
    errors: ['workspace_not_found'],
  },
  'POST /workspaces/:id/inbound-secret/rotate': {
    tag: 'Credentials',
    summary: 'Rotate the inbound secret of a workspace',
    description: 'No request is lost meanwhile; one rotation at a time.',
    answers: { 202: { description: 'Begun.', schema: inboundSecretResponse } },
    errors: ['workspace_not_found', 'rotation_in_progress'],
  },
  'GET /admin/workspaces/:id/test-token': testToken,
  'POST /admin/workspaces/:id/test-token': testToken,
  'GET /org/tokens': {
    tag: 'Credentials',
    summary: "List operators' tokens",
    answers: ok(orgTokenListResponse, 'By prefix.'),
  },
  'POST /org/tokens': {
    tag: 'Credentials',
    summary: "Mint an operator's token",
    body: { schema: orgTokenBody, isOptional: true },
    answers: ok(mintedOrgTokenResponse, 'Shown this once.'),
    errors: ['name_too_long', 'payload_too_large', 'rate_limit_exceeded'],
  },
  'DELETE /org/tokens/:id': {
    tag: 'Credentials',
    summary: "Revoke an operator's token",
    answers: ok(orgTokenRevokedResponse, 'Revoked.'),
    errors: ['token_not_found'],
  },
  'GET /admin/audit': {
    tag: 'Operation',
    summary: 'Read what happened to credentials, newest first',
    query: z.object({
      limit: z.int().min(1).max(1000).default(100).optional(),
      before: z.string().optional().describe('A moment, or the `next_before` of a page.'),
      action: z.string().optional(),
      workspace_id: z.uuid().optional(),
    }),
    answers: ok(auditPageResponse, 'One page.'),
    errors: ['invalid_query'],
  },
  'GET /admin/liveness': {
    tag: 'Operation',
    summary: 'Say whether the reconcilers are at work, and which replicas there are',
    answers: ok(livenessResponse, 'The last passes.'),
  },
  'GET /health': {
    tag: 'Operation',
    summary: 'Say that the process answers',
    answers: ok(z.object({ status: z.literal('ok') }), 'It does.'),
  },
  'GET /ready': {
    tag: 'Operation',
    summary: 'Say whether the platform can serve',
    answers: ok(z.object({ status: z.literal('ready') }), 'It can.'),
    errors: ['shutting_down', 'platform_unavailable'],
  },
  'GET /openapi.json': {
    tag: 'Operation',
    summary: 'This document',
    answers: ok(z.looseObject({ openapi: z.string() }), 'OpenAPI 3.1.'),
  },
  'GET /docs': {
    tag: 'Operation',
    summary: 'This document as a page',
    answers: { 200: { description: 'Without scripts.', contentType: 'text/html' } },
  },
  'GET /docs/style.css': {
    tag: 'Operation',
    summary: 'The style of the page',
    answers: { 200: { description: 'CSS.', contentType: 'text/css' } },
  },
}
