/** @module The tables as drizzle sees them; `migrations/` is the source, a test compares the two (H25). */

import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import {
  bigint,
  boolean,
  customType,
  date,
  doublePrecision,
  integer,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import { DELEGATION_STATUSES } from '../domain/delegation.ts'
import { DELIVERY_STATES, type WireDialect } from '../domain/delivery.ts'
import type { AgentDialect } from '../domain/task-stream.ts'
import { WORKSPACE_STATUSES } from '../domain/workspace-status.ts'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** What somebody else wrote, and reads again: numbers keep their digits (contract/a2a 2.1.3). */
const writtenJson = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'json',
  toDriver: (value) => JSON.stringify(value),
  fromDriver: parseLossless,
})

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

export const workspaceStatus = pgEnum('workspace_status', WORKSPACE_STATUSES)

export const workspaces = pgTable('workspaces', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull(),
  role: text('role'),
  tier: integer('tier').notNull(),
  status: workspaceStatus('status').notNull(),
  statusReason: text('status_reason'),
  runtimeKind: text('runtime_kind').notNull(),
  runtimeConfig: jsonb('runtime_config').$type<unknown>(),
  model: text('model'),
  template: text('template'),
  deliveryMode: text('delivery_mode').$type<DeliveryMode>(),
  endpointUrl: text('endpoint_url'),
  agentUrl: text('agent_url'),
  agentCard: jsonb('agent_card').$type<unknown>(),
  parentId: uuid('parent_id'),
  workspaceDir: text('workspace_dir'),
  workspaceAccess: text('workspace_access').notNull(),
  generation: integer('generation').notNull().default(0),
  maxConcurrentTasks: integer('max_concurrent_tasks').notNull().default(1),
  activeTasks: integer('active_tasks').notNull().default(0),
  currentTask: text('current_task').notNull().default(''),
  lastErrorRate: doublePrecision('last_error_rate').notNull().default(0),
  lastSampleError: text('last_sample_error').notNull().default(''),
  uptimeSeconds: integer('uptime_seconds').notNull().default(0),
  lastHeartbeatAt: moment('last_heartbeat_at'),
  lastOutboundAt: moment('last_outbound_at'),
  budgetLimit: bigint('budget_limit', { mode: 'number' }),
  monthlySpend: bigint('monthly_spend', { mode: 'number' }).notNull().default(0),
  canvasX: doublePrecision('canvas_x').notNull().default(0),
  canvasY: doublePrecision('canvas_y').notNull().default(0),
  canvasCollapsed: boolean('canvas_collapsed').notNull().default(false),
  inboundSecretCurrent: text('inbound_secret_current'),
  inboundSecretPrevious: text('inbound_secret_previous'),
  inboundSecretMintedAt: moment('inbound_secret_minted_at'),
  activitySeq: bigint('activity_seq', { mode: 'number' }).notNull().default(0),
  createdAt: moment('created_at').notNull(),
  updatedAt: moment('updated_at').notNull(),
  hostId: text('host_id'),
  boxGeneration: integer('box_generation'),
  instanceId: text('instance_id'),
  boxAddress: text('box_address'),
  backEnd: text('back_end'),
  boxStartedAt: moment('box_started_at'),
  isTemplateDue: boolean('is_template_due').notNull().default(false),
  isolation: text('isolation').$type<'process' | 'sandbox' | 'container' | 'machine'>(),
  statusSince: moment('status_since').notNull(),
  lastActivityAt: moment('last_activity_at'),
  hibernationIdleMinutes: integer('hibernation_idle_minutes'),
  runtimeMetadata: jsonb('runtime_metadata').$type<unknown>(),
  deaths: moment('deaths').array().notNull().default([]),
  inboundSecretDeliveredAt: moment('inbound_secret_delivered_at'),
  inboundSecretAcknowledgedAt: moment('inbound_secret_acknowledged_at'),
})
export type WorkspaceRow = typeof workspaces.$inferSelect

/** `runtime`: handed to the workspace itself; `user`: asked for by its people; `test`: by a test. */
export type TokenPurpose = 'runtime' | 'test' | 'user'

export const workspaceAuthTokens = pgTable('workspace_auth_tokens', {
  id: uuid('id').primaryKey(),
  workspaceId: uuid('workspace_id').notNull(),
  tokenHash: bytea('token_hash').notNull(),
  prefix: text('prefix').notNull(),
  purpose: text('purpose').$type<TokenPurpose>().notNull(),
  createdAt: moment('created_at').notNull(),
  lastUsedAt: moment('last_used_at'),
  revokedAt: moment('revoked_at'),
})

export const workspaceSecrets = pgTable(
  'workspace_secrets',
  {
    workspaceId: uuid('workspace_id').notNull(),
    key: text('key').notNull(),
    encryptedValue: text('encrypted_value').notNull(),
    createdAt: moment('created_at').notNull(),
    updatedAt: moment('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'workspace_secrets_pk', columns: [table.workspaceId, table.key] }),
  ],
)

export const workspaceJobControl = pgTable('workspace_job_control', {
  workspaceId: uuid('workspace_id').primaryKey(),
  url: text('url').notNull(),
  encryptedToken: text('encrypted_token').notNull(),
  createdAt: moment('created_at').notNull(),
  updatedAt: moment('updated_at').notNull(),
})

export const activityLogs = pgTable('activity_logs', {
  id: uuid('id').primaryKey(),
  workspaceId: uuid('workspace_id').notNull(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  activityType: text('activity_type').notNull(),
  sourceId: uuid('source_id'),
  targetId: uuid('target_id'),
  method: text('method'),
  summary: text('summary'),
  requestBody: writtenJson('request_body'),
  responseBody: writtenJson('response_body'),
  durationMs: integer('duration_ms'),
  status: text('status').notNull(),
  errorDetail: text('error_detail'),
  createdAt: moment('created_at').notNull(),
  toolTrace: writtenJson('tool_trace'),
  sourceName: text('source_name'),
  idempotencyKey: text('idempotency_key'),
  bodyBytes: integer('body_bytes').notNull().default(0),
  queueId: uuid('queue_id'),
})
export type ActivityRow = typeof activityLogs.$inferSelect

export const replicas = pgTable('replicas', {
  id: uuid('id').primaryKey(),
  hostId: text('host_id'),
  version: text('version').notNull(),
  startedAt: moment('started_at').notNull(),
  lastBeatAt: moment('last_beat_at').notNull(),
})

export const lifecycleRuns = pgTable('lifecycle_runs', {
  workspaceId: uuid('workspace_id').primaryKey(),
  hostId: text('host_id'),
  request: bigint('request', { mode: 'number' }).notNull().default(1),
  reason: text('reason').notNull(),
  requestedAt: moment('requested_at').notNull(),
  notBefore: moment('not_before').notNull(),
  attempts: integer('attempts').notNull().default(0),
  lastError: text('last_error'),
  isPurge: boolean('is_purge').notNull().default(false),
  fence: bigint('fence', { mode: 'number' }).notNull().default(0),
  leaseOwner: uuid('lease_owner'),
  leaseUntil: moment('lease_until'),
})

export const structureEvents = pgTable('structure_events', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  seq: bigint('seq', { mode: 'number' }),
  eventType: text('event_type').notNull(),
  workspaceId: uuid('workspace_id'),
  payload: jsonb('payload').$type<unknown>().notNull(),
  createdAt: moment('created_at').notNull(),
})

export const orgApiTokens = pgTable('org_api_tokens', {
  id: uuid('id').primaryKey(),
  tokenHash: bytea('token_hash').notNull(),
  prefix: text('prefix').notNull(),
  name: text('name'),
  createdBy: text('created_by').notNull(),
  orgId: text('org_id'),
  createdAt: moment('created_at').notNull(),
  lastUsedAt: moment('last_used_at'),
  revokedAt: moment('revoked_at'),
})

export const auditEvents = pgTable('audit_events', {
  id: uuid('id').primaryKey(),
  occurredAt: moment('occurred_at').notNull(),
  action: text('action').notNull(),
  outcome: text('outcome').$type<'ok' | 'refused'>().notNull(),
  actorKind: text('actor_kind').notNull(),
  actorId: text('actor_id'),
  workspaceId: uuid('workspace_id'),
  subject: text('subject'),
  count: integer('count').notNull().default(1),
  detail: jsonb('detail').$type<unknown>(),
  requestId: text('request_id'),
})

export const sweepPasses = pgTable('sweep_passes', {
  name: text('name').primaryKey(),
  lastTickAt: moment('last_tick_at').notNull(),
  replicaId: uuid('replica_id').notNull(),
  tookMs: integer('took_ms').notNull(),
  result: jsonb('result').$type<unknown>().notNull(),
})

export const deliveryState = pgEnum('delivery_state', DELIVERY_STATES)

export const a2aDeliveries = pgTable('a2a_deliveries', {
  id: uuid('id').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
  workspaceId: uuid('workspace_id').notNull(),
  sender: text('sender').notNull(),
  senderWorkspaceId: uuid('sender_workspace_id'),
  priority: smallint('priority').notNull().default(50),
  state: deliveryState('state').notNull(),
  deliveryMode: text('delivery_mode').$type<DeliveryMode>().notNull(),
  dialect: text('dialect').$type<WireDialect>().notNull(),
  method: text('method').notNull(),
  isStreaming: boolean('is_streaming').notNull(),
  contextId: text('context_id'),
  messageId: text('message_id'),
  request: bytea('request').notNull(),
  requestHeaders: jsonb('request_headers').$type<Record<string, string>>().notNull().default({}),
  idempotencyKey: text('idempotency_key'),
  keyExpiresAt: moment('key_expires_at'),
  fingerprint: bytea('fingerprint').notNull(),
  isIdempotent: boolean('is_idempotent').notNull().default(false),
  isAwaited: boolean('is_awaited').notNull().default(false),
  attempts: integer('attempts').notNull().default(0),
  nextAttemptAt: moment('next_attempt_at').notNull(),
  leaseOwner: uuid('lease_owner'),
  leaseUntil: moment('lease_until'),
  fence: bigint('fence', { mode: 'number' }).notNull().default(0),
  enqueuedAt: moment('enqueued_at').notNull(),
  queuedAt: moment('queued_at'),
  dispatchedAt: moment('dispatched_at'),
  finishedAt: moment('finished_at'),
  expiresAt: moment('expires_at'),
  lastError: text('last_error'),
  reason: text('reason'),
  responseStatus: smallint('response_status'),
  response: bytea('response'),
  upstreamTaskId: text('upstream_task_id'),
  delegationId: uuid('delegation_id'),
  activityId: uuid('activity_id'),
})

export const a2aTasks = pgTable(
  'a2a_tasks',
  {
    workspaceId: uuid('workspace_id').notNull(),
    taskId: text('task_id').notNull(),
    upstreamTaskId: text('upstream_task_id'),
    deliveryId: uuid('delivery_id'),
    sender: text('sender').notNull(),
    contextId: text('context_id'),
    state: text('state').notNull(),
    statusAt: moment('status_at').notNull(),
    snapshot: bytea('snapshot'),
    dialect: text('dialect').$type<WireDialect>().notNull(),
    updatedAt: moment('updated_at').notNull(),
  },
  (table) => [primaryKey({ name: 'a2a_tasks_pkey', columns: [table.workspaceId, table.taskId] })],
)

export const a2aStreams = pgTable(
  'a2a_streams',
  {
    workspaceId: uuid('workspace_id').notNull(),
    taskId: text('task_id').notNull(),
    upstreamTaskId: text('upstream_task_id').notNull(),
    sender: text('sender').notNull(),
    dialect: text('dialect').$type<AgentDialect>().notNull(),
    owner: uuid('owner').notNull(),
    leaseUntil: moment('lease_until').notNull(),
    fence: bigint('fence', { mode: 'number' }).notNull(),
    lastSeq: bigint('last_seq', { mode: 'number' }).notNull().default(0),
    endedAt: moment('ended_at'),
  },
  (table) => [primaryKey({ name: 'a2a_streams_pkey', columns: [table.workspaceId, table.taskId] })],
)

export const a2aTaskEvents = pgTable(
  'a2a_task_events',
  {
    workspaceId: uuid('workspace_id').notNull(),
    taskId: text('task_id').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    event: bytea('event').notNull(),
    dialect: text('dialect').$type<AgentDialect>().notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'a2a_task_events_pkey',
      columns: [table.workspaceId, table.taskId, table.seq],
    }),
  ],
)

export const a2aPushConfigs = pgTable(
  'a2a_push_configs',
  {
    workspaceId: uuid('workspace_id').notNull(),
    taskId: text('task_id').notNull(),
    configId: text('config_id').notNull(),
    sender: text('sender').notNull(),
    dialect: text('dialect').$type<WireDialect>().notNull(),
    url: text('url').notNull(),
    secretSealed: text('secret_sealed'),
    deliveryId: uuid('delivery_id'),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'a2a_push_configs_pkey',
      columns: [table.workspaceId, table.taskId, table.configId],
    }),
  ],
)

export const a2aPushOutbox = pgTable('a2a_push_outbox', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  workspaceId: uuid('workspace_id').notNull(),
  taskId: text('task_id').notNull(),
  configId: text('config_id').notNull(),
  event: bytea('event').notNull(),
  dialect: text('dialect').$type<WireDialect>().notNull(),
  attempts: integer('attempts').notNull().default(0),
  nextAttemptAt: moment('next_attempt_at').notNull(),
  leaseOwner: uuid('lease_owner'),
  leaseUntil: moment('lease_until'),
  fence: bigint('fence', { mode: 'number' }).notNull().default(0),
  createdAt: moment('created_at').notNull(),
})

export const delegationStatus = pgEnum('delegation_status', DELEGATION_STATUSES)

export const delegations = pgTable('delegations', {
  id: uuid('id').primaryKey(),
  workspaceId: uuid('workspace_id').notNull(),
  targetId: uuid('target_id').notNull(),
  task: text('task').notNull(),
  idempotencyKey: text('idempotency_key'),
  status: delegationStatus('status').notNull(),
  isRecorded: boolean('is_recorded').notNull().default(false),
  deliveryId: uuid('delivery_id'),
  responsePreview: text('response_preview'),
  error: text('error'),
  createdAt: moment('created_at').notNull(),
  updatedAt: moment('updated_at').notNull(),
})

export const activityCursors = pgTable(
  'activity_cursors',
  {
    workspaceId: uuid('workspace_id').notNull(),
    name: text('name').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    updatedAt: moment('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'activity_cursors_pkey', columns: [table.workspaceId, table.name] }),
  ],
)

export const activityPruned = pgTable('activity_pruned', {
  workspaceId: uuid('workspace_id').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
})

export const workspaceTokenUsage = pgTable(
  'workspace_token_usage',
  {
    workspaceId: uuid('workspace_id').notNull(),
    day: date('day', { mode: 'string' }).notNull(),
    inputTokens: bigint('input_tokens', { mode: 'number' }).notNull(),
    outputTokens: bigint('output_tokens', { mode: 'number' }).notNull(),
    answers: bigint('answers', { mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'workspace_token_usage_pkey', columns: [table.workspaceId, table.day] }),
  ],
)
