-- What the migrations make together. Written by `npm run db:dump`; do not edit.

CREATE TYPE workspace_status AS ENUM ('provisioning', 'online', 'offline', 'degraded', 'failed', 'removed', 'paused', 'hibernated', 'awaiting_agent', 'hibernating');

CREATE TABLE activity_logs (
  id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  seq bigint NOT NULL,
  activity_type text NOT NULL,
  source_id uuid,
  target_id uuid,
  method text,
  summary text,
  request_body jsonb,
  response_body jsonb,
  duration_ms integer,
  status text NOT NULL,
  error_detail text,
  created_at timestamp with time zone NOT NULL,
  tool_trace jsonb,
  source_name text,
  idempotency_key text,
  body_bytes integer NOT NULL DEFAULT 0,
  CONSTRAINT activity_logs_pkey PRIMARY KEY (id),
  CONSTRAINT activity_logs_seq_unique UNIQUE (workspace_id, seq),
  CONSTRAINT activity_logs_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  CONSTRAINT activity_logs_type_known CHECK ((activity_type = ANY (ARRAY['a2a_send'::text, 'a2a_receive'::text, 'task_update'::text, 'agent_log'::text, 'skill_promotion'::text, 'memory_write'::text, 'error'::text, 'delegation'::text])))
);
CREATE INDEX activity_logs_age_idx ON public.activity_logs USING btree (created_at);
CREATE INDEX activity_logs_created_idx ON public.activity_logs USING btree (workspace_id, created_at DESC);
CREATE UNIQUE INDEX activity_logs_idempotency_idx ON public.activity_logs USING btree (workspace_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

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

CREATE TABLE workspace_secrets (
  workspace_id uuid NOT NULL,
  key text NOT NULL,
  encrypted_value text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT workspace_secrets_pk PRIMARY KEY (workspace_id, key),
  CONSTRAINT workspace_secrets_workspace_fk FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
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
