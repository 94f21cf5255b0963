/** @module The tables as drizzle sees them; `migrations/` is the source, a test compares the two (H25). */

import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  integer,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import { WORKSPACE_STATUSES } from '../domain/workspace-status.ts'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

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
})
export type WorkspaceRow = typeof workspaces.$inferSelect

export const workspaceAuthTokens = pgTable('workspace_auth_tokens', {
  id: uuid('id').primaryKey(),
  workspaceId: uuid('workspace_id').notNull(),
  tokenHash: bytea('token_hash').notNull(),
  prefix: text('prefix').notNull(),
  purpose: text('purpose').$type<'runtime' | 'test'>().notNull(),
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

export const activityLogs = pgTable('activity_logs', {
  id: uuid('id').primaryKey(),
  workspaceId: uuid('workspace_id').notNull(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  activityType: text('activity_type').notNull(),
  sourceId: uuid('source_id'),
  targetId: uuid('target_id'),
  method: text('method'),
  summary: text('summary'),
  requestBody: jsonb('request_body').$type<unknown>(),
  responseBody: jsonb('response_body').$type<unknown>(),
  durationMs: integer('duration_ms'),
  status: text('status').notNull(),
  errorDetail: text('error_detail'),
  createdAt: moment('created_at').notNull(),
})
