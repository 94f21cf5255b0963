/** @module The reference of messages in the ledger, and of delegations. */
import { z } from 'zod'
import {
  delegateBody,
  delegatedResponse,
  delegationHitResponse,
  delegationResponse,
  recordBody,
  recordedResponse,
  updateBody,
  updatedDelegationResponse,
} from '../wire/delegation.wire.ts'
import {
  cancelledResponse,
  droppedResponse,
  queueCountsResponse,
  queueEntryResponse,
  repliedResponse,
  replyBody,
} from '../wire/queue.wire.ts'
import { type Operations, ok } from './operation.ts'

export const QUEUE_OPERATIONS: Operations = {
  'GET /workspaces/:id/a2a/queue/:queueId': {
    tag: 'Messages',
    summary: 'Read what became of a message',
    description:
      'For its sender, its receiver and operators. A message that somebody else sent looks like one that is not there.',
    answers: ok(queueEntryResponse, 'The message, with its answer once there is one.'),
    errors: ['delivery_not_found', 'invalid_caller_id', 'invalid_caller_token'],
  },
  'DELETE /workspaces/:id/a2a/queue/:queueId': {
    tag: 'Messages',
    summary: 'Take a message out of the queue',
    description: 'As long as nobody has begun with it.',
    answers: ok(cancelledResponse, 'It will not be delivered.'),
    errors: [
      'delivery_not_found',
      'delivery_not_cancelable',
      'invalid_caller_id',
      'invalid_caller_token',
    ],
  },
  'POST /workspaces/:id/a2a/queue/:queueId/reply': {
    tag: 'Messages',
    summary: 'Answer a message that the agent has fetched',
    description:
      'Ends the message: its sender reads the answer as that of any other agent. The same answer once more changes nothing.',
    body: { schema: replyBody },
    answers: ok(repliedResponse, 'The message is answered.'),
    errors: ['delivery_not_found', 'delivery_over', 'payload_too_large'],
  },
  'GET /admin/a2a-queue': {
    tag: 'Operation',
    summary: 'Count the messages in the ledger',
    query: z.object({ workspace_id: z.uuid().optional() }),
    answers: ok(queueCountsResponse, 'By state, with the oldest of each.'),
    errors: ['invalid_query'],
  },
  'POST /admin/a2a-queue/drop-stale': {
    tag: 'Operation',
    summary: 'Drop messages that have waited too long',
    query: z.object({
      max_age_minutes: z.int().min(1).default(60).optional(),
      workspace_id: z.uuid().optional(),
    }),
    answers: ok(droppedResponse, 'How many.'),
    errors: ['invalid_query', 'drop_stale_failed'],
  },
  'POST /workspaces/:id/delegate': {
    tag: 'Messages',
    summary: 'Have another workspace asked, without waiting for its answer',
    description: 'With a key that is known: the delegation that has it, as it is.',
    body: { schema: delegateBody },
    answers: {
      200: { description: 'Delegated before, under this key.', schema: delegationHitResponse },
      202: { description: 'It is being asked.', schema: delegatedResponse },
    },
    errors: [
      'invalid_delegation',
      'self_delegation',
      'delegation_conflict',
      'workspace_not_found',
      'payload_too_large',
    ],
  },
  'GET /workspaces/:id/delegations': {
    tag: 'Messages',
    summary: 'Read what became of the last delegations of a workspace',
    answers: ok(z.array(delegationResponse), 'At most 50, the newest first.'),
  },
  'POST /workspaces/:id/delegations/record': {
    tag: 'Messages',
    summary: 'Write down a delegation that the agent sends by itself',
    body: { schema: recordBody },
    answers: { 202: { description: 'Written down; once.', schema: recordedResponse } },
    errors: [
      'invalid_delegation',
      'delegation_conflict',
      'workspace_not_found',
      'payload_too_large',
    ],
  },
  'POST /workspaces/:id/delegations/:delegationId/update': {
    tag: 'Messages',
    summary: 'Say how a delegation has ended',
    body: { schema: updateBody },
    answers: ok(updatedDelegationResponse, 'That is its end.'),
    errors: ['invalid_delegation', 'delegation_not_found', 'delegation_over', 'payload_too_large'],
  },
}
