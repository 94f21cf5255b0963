/** @module The reference of messages, activity and events. */
import { z } from 'zod'
import {
  acknowledgedResponse,
  acknowledgementBody,
  activityResponse,
  loggedResponse,
  notifyBody,
  reportBody,
  sentResponse,
} from '../wire/activity.wire.ts'
import { eventResponse } from '../wire/event.wire.ts'
import { rpcAnswer, rpcCall } from '../wire/exchange.wire.ts'
import { FORWARDING } from './forwarding-errors.ts'
import { type Operation, type Operations, ok } from './operation.ts'

const eventStream: Operation['answers'] = {
  200: {
    description: 'Server-sent events, until somebody ends it; `id` resumes.',
    contentType: 'text/event-stream',
  },
}
const resumption = {
  headers: z.object({ 'last-event-id': z.string().optional() }),
  query: z.object({
    last_event_id: z.string().optional().describe('For clients that cannot set headers.'),
  }),
}

export const EXCHANGE_OPERATIONS: Operations = {
  'POST /workspaces/:id/a2a': {
    tag: 'Messages',
    summary: 'Send a JSON-RPC request to the agent of a workspace',
    description:
      'A2A, in any dialect: an agent of another version is translated for. Streaming methods answer with server-sent events. Errors are JSON-RPC errors, with the description of the failure as their `data`. A message that has to wait, for an agent that is busy (202) or fetches its messages (200), is answered with a submitted task, whose id is its `queue_id`.',
    body: { schema: rpcCall },
    headers: z.object({
      'x-workspace-id': z.string().optional().describe('May only agree with the credential.'),
      'a2a-version': z.string().optional(),
      'a2a-extensions': z.string().optional(),
      'x-timeout': z
        .string()
        .optional()
        .describe('Seconds that the sender waits; what it sent goes on.'),
      'idempotency-key': z
        .string()
        .optional()
        .describe('A repetition is answered and not sent again.'),
    }),
    answers: ok(rpcAnswer, "The agent's answer."),
    errors: [
      ...FORWARDING,
      'invalid_caller_id',
      'invalid_caller_token',
      'access_denied',
      'budget_exceeded',
      'workspace_failed',
      'workspace_has_no_url',
      'workspace_waking',
      'agent_unreachable',
      'agent_error',
      'agent_restarting',
      'idempotency_conflict',
      'queue_full',
      'agent_not_configured',
      'agent_starting',
      'payload_too_large',
    ],
  },
  'GET /a2a/:id/*': {
    tag: 'Messages',
    summary: "Read an agent's card and its tasks, as REST has it",
    description:
      '`.well-known/agent-card.json` and `.well-known/agent.json`: the card with the addresses of the platform, in the shape of `A2A-Version`. Otherwise the paths of REST 1.0 (`tasks`, `tasks/{id}`, `tasks/{id}:subscribe`, `tasks/{id}/pushNotificationConfigs`, `extendedAgentCard`) and, below `v1`, of 0.3.',
    headers: z.object({
      'a2a-version': z.string().optional(),
      'if-none-match': z.string().optional(),
      'last-event-id': z.string().optional(),
    }),
    answers: {
      200: { description: 'What was asked for.', contentType: 'application/json' },
      304: { description: 'It is the card that the client has.' },
    },
    errors: ['not_found', 'workspace_not_found', 'invalid_caller_id', 'invalid_caller_token'],
  },
  'DELETE /a2a/:id/*': {
    tag: 'Messages',
    summary: 'Delete a push notification configuration, as REST has it',
    answers: { 200: { description: 'An empty object.', contentType: 'application/json' } },
    errors: ['not_found', 'workspace_not_found', 'invalid_caller_id', 'invalid_caller_token'],
  },
  'POST /a2a/:id/*': {
    tag: 'Messages',
    summary: 'Speak A2A with the agent of a workspace',
    description:
      'The address of agent cards: JSON-RPC at the address itself, in any dialect, whichever the agent speaks. Errors are JSON-RPC errors with HTTP 200, except where HTTP itself says no.',
    body: { schema: rpcCall },
    headers: z.object({
      'x-workspace-id': z.string().optional().describe('May only agree with the credential.'),
      'a2a-version': z.string().optional(),
      'a2a-extensions': z.string().optional(),
    }),
    answers: ok(rpcAnswer, "The agent's answer."),
    errors: [
      ...FORWARDING,
      'invalid_caller_id',
      'invalid_caller_token',
      'access_denied',
      'budget_exceeded',
      'workspace_failed',
      'workspace_has_no_url',
      'workspace_waking',
      'agent_unreachable',
      'agent_error',
      'agent_not_configured',
      'agent_starting',
      'payload_too_large',
    ],
  },
  'GET /workspaces/:id/activity': {
    tag: 'Activity and events',
    summary: 'Read what happened in a workspace',
    description:
      'With a cursor oldest first, otherwise newest first. As `text/event-stream` every row after the cursor, and those that come, each with its id; without a cursor those that come from now on. `X-Next-Since-Id` of an answer in order is the last row that was looked at.',
    headers: resumption.headers,
    query: z.object({
      ...resumption.query.shape,
      type: z.string().optional(),
      source: z.enum(['canvas', 'agent']).optional(),
      limit: z.int().min(1).max(500).default(100).optional(),
      since_secs: z.int().min(1).max(2_592_000).optional(),
      since_id: z
        .string()
        .optional()
        .describe(
          'Everything after this row, or after the last one acknowledged: `@` and its name.',
        ),
      from: z.enum(['start']).optional(),
      wait: z.int().min(0).max(60).optional().describe('Seconds to wait for something new.'),
    }),
    answers: {
      200: {
        description: 'The rows.',
        schema: z.array(activityResponse),
        alsoContentType: 'text/event-stream',
      },
    },
    errors: [
      'invalid_query',
      'workspace_not_found',
      'too_many_streams',
      'too_many_waits',
      'activity_cursor_gone',
      'activity_query_failed',
    ],
  },
  'POST /workspaces/:id/activity': {
    tag: 'Activity and events',
    summary: 'Report something as the agent of a workspace',
    body: { schema: reportBody },
    answers: ok(loggedResponse, 'Noted.'),
    errors: [
      'invalid_activity_type',
      'activity_source_mismatch',
      'workspace_not_found',
      'payload_too_large',
    ],
  },
  'POST /workspaces/:id/activity/ack': {
    tag: 'Activity and events',
    summary: 'Let the platform keep how far the activity was read',
    description:
      'Never moves back. `since_id=@` and the name of the cursor reads on after it, from the start under a new name.',
    body: { schema: acknowledgementBody },
    answers: ok(acknowledgedResponse, 'Kept.'),
    errors: ['activity_cursor_gone', 'activity_cursor_limit', 'payload_too_large'],
  },
  'POST /workspaces/:id/notify': {
    tag: 'Activity and events',
    summary: 'Say something to the people of a workspace',
    body: { schema: notifyBody },
    answers: ok(sentResponse, 'Sent, or sent before under the same key.'),
    errors: [
      'message_required',
      'attachment_incomplete',
      'workspace_not_found',
      'payload_too_large',
    ],
  },
  'GET /workspaces/:id/events/stream': {
    tag: 'Activity and events',
    summary: 'Follow the events of a workspace',
    ...resumption,
    answers: eventStream,
    errors: ['too_many_streams', 'workspace_not_found'],
  },
  'GET /events/stream': {
    tag: 'Activity and events',
    summary: 'Follow the events of all workspaces',
    ...resumption,
    answers: eventStream,
    errors: ['too_many_streams'],
  },
  'GET /events': {
    tag: 'Activity and events',
    summary: 'Read the last events of all workspaces',
    answers: ok(z.array(eventResponse), 'Newest first.'),
  },
  'GET /events/:workspaceId': {
    tag: 'Activity and events',
    summary: 'Read the last events of one workspace',
    answers: ok(z.array(eventResponse), 'Newest first; also of one that was removed.'),
    errors: ['invalid_workspace_id'],
  },
}
