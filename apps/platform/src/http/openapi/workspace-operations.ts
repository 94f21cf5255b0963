/** @module The reference of workspaces and their lifecycle. */
import { z } from 'zod'
import {
  collapsedResponse,
  expandedResponse,
  failedStart,
  failedStartResponse,
  hibernatedResponse,
  pausedResponse,
  restartBody,
  restartedResponse,
  resumedResponse,
  wokenResponse,
} from '../wire/lifecycle.wire.ts'
import { metricsQuery, metricsResponse } from '../wire/metrics.wire.ts'
import { patchBody } from '../wire/update-workspace.wire.ts'
import { createBody } from '../wire/workspace.wire.ts'
import {
  consoleResponse,
  createdResponse,
  publicWorkspaceResponse,
  removalResponse,
  singleWorkspaceResponse,
  stateResponse,
  updatedWorkspaceResponse,
  workspaceResponse,
} from '../wire/workspace-response.wire.ts'
import { type Operations, ok } from './operation.ts'

const yes = z.enum(['true']).optional()

export const WORKSPACE_OPERATIONS: Operations = {
  'GET /workspaces': {
    tag: 'Workspaces',
    summary: 'List all workspaces, oldest first',
    answers: ok(z.array(workspaceResponse), 'All that are not removed.'),
  },
  'POST /workspaces': {
    tag: 'Workspaces',
    summary: 'Create a workspace',
    description:
      'It is started in the background. With `external` the agent runs elsewhere, and the answer has the token that it registers with: it is shown this once.',
    body: { schema: createBody },
    answers: { 201: { description: 'Stored.', schema: createdResponse } },
    errors: [
      'invalid_workspace_payload',
      'invalid_workspace_fields',
      'invalid_workspace_directory',
      'invalid_workspace_access',
      'invalid_delivery_mode',
      'invalid_template',
      'invalid_agent_url',
      'create_failed',
      'payload_too_large',
    ],
  },
  'GET /workspaces/:id': {
    tag: 'Workspaces',
    summary: 'Read a workspace',
    description: 'Everybody may; the workspace itself and its operators also see its URL and card.',
    answers: ok(z.union([singleWorkspaceResponse, publicWorkspaceResponse]), 'The workspace.'),
    errors: ['invalid_workspace_id', 'workspace_not_found', 'platform_unavailable'],
    security: [],
  },
  'PATCH /workspaces/:id': {
    tag: 'Workspaces',
    summary: 'Change a workspace',
    description: 'Fields that are absent stay as they are; unknown ones are refused.',
    body: { schema: patchBody },
    answers: ok(updatedWorkspaceResponse, 'Changed.'),
    errors: [
      'invalid_workspace_fields',
      'invalid_workspace_directory',
      'operator_fields',
      'parent_cycle',
      'workspace_not_found',
      'payload_too_large',
    ],
  },
  'DELETE /workspaces/:id': {
    tag: 'Workspaces',
    summary: 'Remove a workspace with everything below it',
    query: z.object({
      confirm: yes.describe('Needed when there are workspaces below it.'),
      purge: yes.describe('Deletes its rows as well.'),
    }),
    answers: ok(removalResponse, 'Removed, its box and its volume too.'),
    errors: [
      'invalid_workspace_id',
      'workspace_not_found',
      'confirmation_required',
      'stop_failed',
      'provisioner_unavailable',
    ],
  },
  'GET /workspaces/:id/state': {
    tag: 'Workspaces',
    summary: 'Say how a workspace is, for pollers',
    answers: ok(stateResponse, 'Its state.'),
    errors: ['workspace_not_found'],
  },
  'GET /workspaces/:id/metrics': {
    tag: 'Workspaces',
    summary: 'Say what the answers of a workspace have cost',
    description:
      "By the agent's own word: `usage` of its answers to messages, day by day. Streams and answers of polling agents are not counted.",
    query: metricsQuery,
    answers: ok(metricsResponse, 'The days that have something, latest first.'),
    errors: ['invalid_query', 'workspace_not_found'],
  },
  'GET /workspaces/:id/console': {
    tag: 'Workspaces',
    summary: 'Read the end of the console output of a box',
    query: z.object({
      tail_bytes: z.coerce.number().int().min(1).max(262_144).default(65_536).optional(),
    }),
    answers: ok(consoleResponse, 'The output, oldest line first.'),
    errors: [
      'invalid_workspace_id',
      'invalid_query',
      'workspace_not_found',
      'console_unavailable',
      'provisioner_unavailable',
    ],
  },
  'POST /workspaces/:id/restart': {
    tag: 'Lifecycle',
    summary: 'Stop a box and start it anew',
    body: { schema: restartBody, isOptional: true },
    query: z.object({ reset: z.string().optional().describe('Not supported; `true` is refused.') }),
    answers: ok(restartedResponse, 'Asked for; the status tells how it goes.'),
    errors: [
      'workspace_not_found',
      'invalid_template',
      'parent_paused',
      'external_workspace',
      'provisioner_unavailable',
    ],
  },
  'POST /workspaces/:id/pause': {
    tag: 'Lifecycle',
    summary: 'Suspend a workspace with everything below it',
    answers: ok(pausedResponse, 'Asked for.'),
    errors: ['workspace_not_found', 'workspace_already_paused', 'external_workspace'],
  },
  'POST /workspaces/:id/resume': {
    tag: 'Lifecycle',
    summary: 'Bring a suspended workspace back, and what is suspended below it',
    answers: ok(resumedResponse, 'Asked for.'),
    errors: ['workspace_not_found', 'workspace_not_paused', 'parent_paused', 'external_workspace'],
  },
  'POST /workspaces/:id/hibernate': {
    tag: 'Lifecycle',
    summary: 'End an idle box until it is needed again',
    query: z.object({ force: yes.describe('Although it is at work.') }),
    answers: ok(hibernatedResponse, 'Asked for.'),
    errors: [
      'workspace_not_found',
      'workspace_not_hibernatable',
      'workspace_busy',
      'external_workspace',
    ],
  },
  'POST /workspaces/:id/wake': {
    tag: 'Lifecycle',
    summary: 'Bring a hibernated workspace back',
    answers: ok(wokenResponse, '`awake`: it does not sleep.'),
    errors: ['workspace_not_found'],
  },
  'POST /workspaces/:id/expand': {
    tag: 'Lifecycle',
    summary: 'Create the team that the configuration of a workspace names',
    answers: ok(expandedResponse, 'Created; each is started in the background.'),
    errors: [
      'workspace_not_found',
      'config_not_found',
      'no_sub_workspaces',
      'invalid_sub_workspace',
    ],
  },
  'POST /workspaces/:id/collapse': {
    tag: 'Lifecycle',
    summary: 'Remove the team of a workspace',
    answers: ok(collapsedResponse, 'Removed, by name.'),
    errors: ['workspace_not_found', 'stop_failed'],
  },
  'POST /admin/workspaces/:id/bootstrap-failed': {
    tag: 'Lifecycle',
    summary: 'Report that the machine of a workspace never came up',
    description: 'For control planes. `no_change`: the workspace was not starting any more.',
    body: { schema: failedStart },
    answers: ok(failedStartResponse, 'Noted.'),
    errors: ['invalid_workspace_id', 'payload_too_large'],
  },
}
