-- What the migrations make together. Written by `npm run db:dump`; do not edit.

CREATE TYPE delegation_status AS ENUM ('pending', 'dispatched', 'queued', 'in_progress', 'completed', 'failed');
CREATE TYPE delivery_state AS ENUM ('queued', 'leased', 'dispatched', 'completed', 'failed', 'expired', 'dropped', 'dead');
CREATE TYPE workspace_status AS ENUM ('provisioning', 'online', 'offline', 'degraded', 'failed', 'removed', 'paused', 'hibernated', 'awaiting_agent', 'hibernating');

CREATE TABLE a2a_deliveries (
  id uuid NOT NULL,
  seq bigint NOT NULL,
  workspace_id uuid NOT NULL,
  sender text NOT NULL,
  sender_workspace_id uuid,
  priority smallint NOT NULL DEFAULT 50,
  state delivery_state NOT NULL,
  delivery_mode text NOT NULL,
  dialect text NOT NULL,
  method text NOT NULL,
  is_streaming boolean NOT NULL,
  context_id text,
  message_id text,
  request bytea NOT NULL,
  request_headers jsonb NOT NULL DEFAULT '{}'::jsonb,
  idempotency_key text,
  key_expires_at timestamp with time zone,
  fingerprint bytea NOT NULL,
  is_idempotent boolean NOT NULL DEFAULT false,
  is_awaited boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamp with time zone NOT NULL,
  lease_owner uuid,
  lease_until timestamp with time zone,
  fence bigint NOT NULL DEFAULT 0,
  enqueued_at timestamp with time zone NOT NULL,
  queued_at timestamp with time zone,
  dispatched_at timestamp with time zone,
  finished_at timestamp with time zone,
  expires_at timestamp with time zone,
  last_error text,
  reason text,
  response_status smallint,
  response bytea,
  upstream_task_id text,
  delegation_id uuid,
  activity_id uuid,
  CONSTRAINT a2a_deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT a2a_deliveries_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  CONSTRAINT a2a_deliveries_dialect_known CHECK ((dialect = ANY (ARRAY['0.1'::text, '0.3'::text, '1.0'::text]))),
  CONSTRAINT a2a_deliveries_mode_known CHECK ((delivery_mode = ANY (ARRAY['push'::text, 'poll'::text])))
);
CREATE INDEX a2a_deliveries_delegation_idx ON public.a2a_deliveries USING btree (delegation_id) WHERE (delegation_id IS NOT NULL);
CREATE INDEX a2a_deliveries_expiring_idx ON public.a2a_deliveries USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (state = 'queued'::delivery_state));
CREATE INDEX a2a_deliveries_finished_idx ON public.a2a_deliveries USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX a2a_deliveries_in_flight_idx ON public.a2a_deliveries USING btree (workspace_id) WHERE (state = ANY (ARRAY['leased'::delivery_state, 'dispatched'::delivery_state]));
CREATE UNIQUE INDEX a2a_deliveries_key_idx ON public.a2a_deliveries USING btree (workspace_id, sender, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX a2a_deliveries_leased_idx ON public.a2a_deliveries USING btree (lease_until) WHERE (state = ANY (ARRAY['leased'::delivery_state, 'dispatched'::delivery_state]));
CREATE INDEX a2a_deliveries_listing_idx ON public.a2a_deliveries USING btree (workspace_id) WHERE ((delivery_mode = 'poll'::text) OR (queued_at IS NOT NULL));
CREATE INDEX a2a_deliveries_upstream_task_idx ON public.a2a_deliveries USING btree (workspace_id, upstream_task_id) WHERE (upstream_task_id IS NOT NULL);
CREATE INDEX a2a_deliveries_waiting_idx ON public.a2a_deliveries USING btree (workspace_id, priority DESC, seq) WHERE (state = ANY (ARRAY['queued'::delivery_state, 'leased'::delivery_state]));

CREATE TABLE a2a_push_configs (
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  config_id text NOT NULL,
  sender text NOT NULL,
  dialect text NOT NULL,
  url text NOT NULL,
  secret_sealed text,
  delivery_id uuid,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT a2a_push_configs_pkey PRIMARY KEY (workspace_id, task_id, config_id),
  CONSTRAINT a2a_push_configs_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE INDEX a2a_push_configs_delivery_idx ON public.a2a_push_configs USING btree (delivery_id) WHERE (delivery_id IS NOT NULL);

CREATE TABLE a2a_push_outbox (
  id bigint NOT NULL,
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  config_id text NOT NULL,
  event bytea NOT NULL,
  dialect text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamp with time zone NOT NULL,
  lease_owner uuid,
  lease_until timestamp with time zone,
  fence bigint NOT NULL DEFAULT 0,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT a2a_push_outbox_pkey PRIMARY KEY (id),
  CONSTRAINT a2a_push_outbox_config_fk FOREIGN KEY (workspace_id, task_id, config_id) REFERENCES a2a_push_configs(workspace_id, task_id, config_id) ON DELETE CASCADE
);
CREATE INDEX a2a_push_outbox_config_idx ON public.a2a_push_outbox USING btree (workspace_id, task_id, config_id, id);
CREATE INDEX a2a_push_outbox_due_idx ON public.a2a_push_outbox USING btree (next_attempt_at);

CREATE TABLE a2a_streams (
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  upstream_task_id text NOT NULL,
  sender text NOT NULL,
  dialect text NOT NULL,
  owner uuid NOT NULL,
  lease_until timestamp with time zone NOT NULL,
  fence bigint NOT NULL,
  last_seq bigint NOT NULL DEFAULT 0,
  ended_at timestamp with time zone,
  CONSTRAINT a2a_streams_pkey PRIMARY KEY (workspace_id, task_id),
  CONSTRAINT a2a_streams_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE INDEX a2a_streams_ended_idx ON public.a2a_streams USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX a2a_streams_lost_idx ON public.a2a_streams USING btree (lease_until) WHERE (ended_at IS NULL);

CREATE TABLE a2a_task_events (
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  seq bigint NOT NULL,
  event bytea NOT NULL,
  dialect text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT a2a_task_events_pkey PRIMARY KEY (workspace_id, task_id, seq),
  CONSTRAINT a2a_task_events_stream_fk FOREIGN KEY (workspace_id, task_id) REFERENCES a2a_streams(workspace_id, task_id) ON DELETE CASCADE
);

CREATE TABLE a2a_tasks (
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  upstream_task_id text,
  delivery_id uuid,
  sender text NOT NULL,
  context_id text,
  state text NOT NULL,
  status_at timestamp with time zone NOT NULL,
  snapshot bytea,
  dialect text NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT a2a_tasks_pkey PRIMARY KEY (workspace_id, task_id),
  CONSTRAINT a2a_tasks_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE INDEX a2a_tasks_age_idx ON public.a2a_tasks USING btree (updated_at);
CREATE INDEX a2a_tasks_listing_idx ON public.a2a_tasks USING btree (workspace_id, status_at DESC, task_id DESC);
CREATE INDEX a2a_tasks_upstream_idx ON public.a2a_tasks USING btree (workspace_id, upstream_task_id);

CREATE TABLE activity_cursors (
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  seq bigint NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT activity_cursors_pkey PRIMARY KEY (workspace_id, name),
  CONSTRAINT activity_cursors_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

CREATE TABLE activity_logs (
  id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  seq bigint NOT NULL,
  activity_type text NOT NULL,
  source_id uuid,
  target_id uuid,
  method text,
  summary text,
  request_body json,
  response_body json,
  duration_ms integer,
  status text NOT NULL,
  error_detail text,
  created_at timestamp with time zone NOT NULL,
  tool_trace json,
  source_name text,
  idempotency_key text,
  body_bytes integer NOT NULL DEFAULT 0,
  queue_id uuid,
  CONSTRAINT activity_logs_pkey PRIMARY KEY (id),
  CONSTRAINT activity_logs_seq_unique UNIQUE (workspace_id, seq),
  CONSTRAINT activity_logs_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  CONSTRAINT activity_logs_type_known CHECK ((activity_type = ANY (ARRAY['a2a_send'::text, 'a2a_receive'::text, 'task_update'::text, 'agent_log'::text, 'skill_promotion'::text, 'memory_write'::text, 'error'::text, 'delegation'::text])))
);
CREATE INDEX activity_logs_age_idx ON public.activity_logs USING btree (created_at);
CREATE INDEX activity_logs_created_idx ON public.activity_logs USING btree (workspace_id, created_at DESC);
CREATE UNIQUE INDEX activity_logs_idempotency_idx ON public.activity_logs USING btree (workspace_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE TABLE activity_pruned (
  workspace_id uuid NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT activity_pruned_pkey PRIMARY KEY (workspace_id),
  CONSTRAINT activity_pruned_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

CREATE TABLE audit_events (
  id uuid NOT NULL,
  occurred_at timestamp with time zone NOT NULL,
  action text NOT NULL,
  outcome text NOT NULL,
  actor_kind text NOT NULL,
  actor_id text,
  workspace_id uuid,
  subject text,
  count integer NOT NULL DEFAULT 1,
  detail jsonb,
  request_id text,
  CONSTRAINT audit_events_pkey PRIMARY KEY (id),
  CONSTRAINT audit_events_outcome_known CHECK ((outcome = ANY (ARRAY['ok'::text, 'refused'::text])))
);
CREATE INDEX audit_events_occurred_idx ON public.audit_events USING btree (occurred_at DESC, id DESC);
CREATE INDEX audit_events_workspace_idx ON public.audit_events USING btree (workspace_id, occurred_at DESC);

CREATE TABLE delegations (
  id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  target_id uuid NOT NULL,
  task text NOT NULL,
  idempotency_key text,
  status delegation_status NOT NULL,
  is_recorded boolean NOT NULL DEFAULT false,
  delivery_id uuid,
  response_preview text,
  error text,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT delegations_pkey PRIMARY KEY (id),
  CONSTRAINT delegations_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX delegations_key_idx ON public.delegations USING btree (workspace_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX delegations_open_idx ON public.delegations USING btree (updated_at) WHERE (status <> ALL (ARRAY['completed'::delegation_status, 'failed'::delegation_status]));
CREATE INDEX delegations_workspace_idx ON public.delegations USING btree (workspace_id, created_at DESC, id DESC);

CREATE TABLE lifecycle_runs (
  workspace_id uuid NOT NULL,
  host_id text,
  request bigint NOT NULL DEFAULT 1,
  reason text NOT NULL,
  requested_at timestamp with time zone NOT NULL,
  not_before timestamp with time zone NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  is_purge boolean NOT NULL DEFAULT false,
  fence bigint NOT NULL DEFAULT 0,
  lease_owner uuid,
  lease_until timestamp with time zone,
  CONSTRAINT lifecycle_runs_pkey PRIMARY KEY (workspace_id),
  CONSTRAINT lifecycle_runs_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE INDEX lifecycle_runs_due_idx ON public.lifecycle_runs USING btree (not_before);

CREATE TABLE org_api_tokens (
  id uuid NOT NULL,
  token_hash bytea NOT NULL,
  prefix text NOT NULL,
  name text,
  created_by text NOT NULL,
  org_id text,
  created_at timestamp with time zone NOT NULL,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  CONSTRAINT org_api_tokens_pkey PRIMARY KEY (id),
  CONSTRAINT org_api_tokens_hash_unique UNIQUE (token_hash)
);

CREATE TABLE replicas (
  id uuid NOT NULL,
  host_id text,
  version text NOT NULL,
  started_at timestamp with time zone NOT NULL,
  last_beat_at timestamp with time zone NOT NULL,
  CONSTRAINT replicas_pkey PRIMARY KEY (id)
);

CREATE TABLE schema_migrations (
  filename text NOT NULL,
  hash text NOT NULL,
  applied_at timestamp with time zone NOT NULL,
  CONSTRAINT schema_migrations_pkey PRIMARY KEY (filename)
);

CREATE TABLE structure_events (
  id bigint NOT NULL,
  seq bigint,
  event_type text NOT NULL,
  workspace_id uuid,
  payload jsonb NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT structure_events_pkey PRIMARY KEY (id),
  CONSTRAINT structure_events_seq_unique UNIQUE (seq)
);
CREATE INDEX structure_events_unsequenced_idx ON public.structure_events USING btree (id) WHERE (seq IS NULL);
CREATE INDEX structure_events_workspace_idx ON public.structure_events USING btree (workspace_id, seq);

CREATE TABLE sweep_passes (
  name text NOT NULL,
  last_tick_at timestamp with time zone NOT NULL,
  replica_id uuid NOT NULL,
  took_ms integer NOT NULL,
  result jsonb NOT NULL,
  CONSTRAINT sweep_passes_pkey PRIMARY KEY (name)
);

CREATE TABLE workspace_auth_tokens (
  id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  token_hash bytea NOT NULL,
  prefix text NOT NULL,
  purpose text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  CONSTRAINT workspace_auth_tokens_pkey PRIMARY KEY (id),
  CONSTRAINT workspace_auth_tokens_hash_unique UNIQUE (token_hash),
  CONSTRAINT workspace_auth_tokens_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  CONSTRAINT workspace_auth_tokens_purpose_known CHECK ((purpose = ANY (ARRAY['runtime'::text, 'test'::text, 'user'::text])))
);
CREATE INDEX workspace_auth_tokens_live_idx ON public.workspace_auth_tokens USING btree (workspace_id) WHERE (revoked_at IS NULL);

CREATE TABLE workspace_job_control (
  workspace_id uuid NOT NULL,
  url text NOT NULL,
  encrypted_token text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT workspace_job_control_pk PRIMARY KEY (workspace_id),
  CONSTRAINT workspace_job_control_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

CREATE TABLE workspace_secrets (
  workspace_id uuid NOT NULL,
  key text NOT NULL,
  encrypted_value text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT workspace_secrets_pk PRIMARY KEY (workspace_id, key),
  CONSTRAINT workspace_secrets_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

CREATE TABLE workspace_token_usage (
  workspace_id uuid NOT NULL,
  day date NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  answers bigint NOT NULL,
  CONSTRAINT workspace_token_usage_pkey PRIMARY KEY (workspace_id, day),
  CONSTRAINT workspace_token_usage_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

CREATE TABLE workspaces (
  id uuid NOT NULL,
  name text NOT NULL,
  role text,
  tier integer NOT NULL,
  status workspace_status NOT NULL,
  status_reason text,
  runtime_kind text NOT NULL,
  runtime_config jsonb,
  model text,
  template text,
  delivery_mode text,
  endpoint_url text,
  agent_url text,
  agent_card jsonb,
  parent_id uuid,
  workspace_dir text,
  workspace_access text NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  max_concurrent_tasks integer NOT NULL DEFAULT 1,
  active_tasks integer NOT NULL DEFAULT 0,
  current_task text NOT NULL DEFAULT ''::text,
  last_error_rate double precision NOT NULL DEFAULT 0,
  last_sample_error text NOT NULL DEFAULT ''::text,
  uptime_seconds integer NOT NULL DEFAULT 0,
  last_heartbeat_at timestamp with time zone,
  last_outbound_at timestamp with time zone,
  budget_limit bigint,
  monthly_spend bigint NOT NULL DEFAULT 0,
  canvas_x double precision NOT NULL DEFAULT 0,
  canvas_y double precision NOT NULL DEFAULT 0,
  canvas_collapsed boolean NOT NULL DEFAULT false,
  inbound_secret_current text,
  inbound_secret_previous text,
  inbound_secret_minted_at timestamp with time zone,
  activity_seq bigint NOT NULL DEFAULT 0,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  host_id text,
  box_generation integer,
  instance_id text,
  box_address text,
  back_end text,
  box_started_at timestamp with time zone,
  is_template_due boolean NOT NULL DEFAULT false,
  isolation text,
  status_since timestamp with time zone NOT NULL,
  last_activity_at timestamp with time zone,
  hibernation_idle_minutes integer,
  runtime_metadata jsonb,
  deaths timestamp with time zone[] NOT NULL DEFAULT '{}'::timestamp with time zone[],
  inbound_secret_delivered_at timestamp with time zone,
  inbound_secret_acknowledged_at timestamp with time zone,
  CONSTRAINT workspaces_pkey PRIMARY KEY (id),
  CONSTRAINT workspaces_parent_fk FOREIGN KEY (parent_id) REFERENCES workspaces(id),
  CONSTRAINT workspaces_access_known CHECK ((workspace_access = ANY (ARRAY['none'::text, 'read_only'::text, 'read_write'::text]))),
  CONSTRAINT workspaces_delivery_mode_known CHECK ((delivery_mode = ANY (ARRAY['push'::text, 'poll'::text]))),
  CONSTRAINT workspaces_hibernation_idle_minutes_positive CHECK ((hibernation_idle_minutes > 0)),
  CONSTRAINT workspaces_isolation_known CHECK ((isolation = ANY (ARRAY['process'::text, 'sandbox'::text, 'container'::text, 'machine'::text]))),
  CONSTRAINT workspaces_max_concurrent_tasks_positive CHECK ((max_concurrent_tasks > 0))
);
CREATE INDEX workspaces_parent_idx ON public.workspaces USING btree (parent_id);
CREATE INDEX workspaces_status_idx ON public.workspaces USING btree (status);
