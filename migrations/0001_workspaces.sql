-- Workspaces, what they prove themselves with, and what happened to them.

CREATE TYPE workspace_status AS ENUM (
  'provisioning', 'online', 'offline', 'degraded', 'failed',
  'removed', 'paused', 'hibernated', 'awaiting_agent', 'hibernating'
);

CREATE TABLE workspaces (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  role text,
  tier integer NOT NULL,
  status workspace_status NOT NULL,
  -- Why the workspace is in this status, for people; set with the status, never with a secret.
  status_reason text,
  runtime_kind text NOT NULL,
  -- Becomes /configs/config.yaml of a provisioned workspace.
  runtime_config jsonb,
  model text,
  template text,
  -- NULL until the first registration or an explicit choice, so that the runtime kind may decide.
  delivery_mode text CONSTRAINT workspaces_delivery_mode_known CHECK (delivery_mode IN ('push', 'poll')),
  -- Where the provisioner put the workspace: trusted by provenance, wins over agent_url.
  endpoint_url text,
  -- Where the agent says it is: judged at registration and again at connect time.
  agent_url text,
  agent_card jsonb,
  parent_id uuid CONSTRAINT workspaces_parent_fk REFERENCES workspaces (id),
  workspace_dir text,
  workspace_access text NOT NULL
    CONSTRAINT workspaces_access_known CHECK (workspace_access IN ('none', 'read_only', 'read_write')),
  -- Raised by every start; a box of an older generation is obsolete.
  generation integer NOT NULL DEFAULT 0,
  max_concurrent_tasks integer NOT NULL DEFAULT 1
    CONSTRAINT workspaces_max_concurrent_tasks_positive CHECK (max_concurrent_tasks > 0),
  active_tasks integer NOT NULL DEFAULT 0,
  current_task text NOT NULL DEFAULT '',
  last_error_rate double precision NOT NULL DEFAULT 0,
  last_sample_error text NOT NULL DEFAULT '',
  uptime_seconds integer NOT NULL DEFAULT 0,
  last_heartbeat_at timestamptz,
  last_outbound_at timestamptz,
  budget_limit bigint,
  monthly_spend bigint NOT NULL DEFAULT 0,
  canvas_x double precision NOT NULL DEFAULT 0,
  canvas_y double precision NOT NULL DEFAULT 0,
  canvas_collapsed boolean NOT NULL DEFAULT false,
  -- AES-256-GCM envelopes (domain/secret-envelope.ts); previous lives only during a rotation.
  inbound_secret_current text,
  inbound_secret_previous text,
  inbound_secret_minted_at timestamptz,
  -- Last activity sequence handed out; the row lock makes commit order cursor order.
  activity_seq bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX workspaces_parent_idx ON workspaces (parent_id);
CREATE INDEX workspaces_status_idx ON workspaces (status);

CREATE TABLE workspace_auth_tokens (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL
    CONSTRAINT workspace_auth_tokens_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  token_hash bytea NOT NULL CONSTRAINT workspace_auth_tokens_hash_unique UNIQUE,
  prefix text NOT NULL,
  -- 'runtime': handed to the workspace itself; 'test': minted by the test-token endpoint.
  purpose text NOT NULL CONSTRAINT workspace_auth_tokens_purpose_known CHECK (purpose IN ('runtime', 'test')),
  created_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX workspace_auth_tokens_live_idx ON workspace_auth_tokens (workspace_id) WHERE revoked_at IS NULL;

-- The workspace's own environment secrets (provider keys), encrypted like the inbound secret.
CREATE TABLE workspace_secrets (
  workspace_id uuid NOT NULL
    CONSTRAINT workspace_secrets_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  key text NOT NULL,
  encrypted_value text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT workspace_secrets_pk PRIMARY KEY (workspace_id, key)
);

CREATE TABLE activity_logs (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL
    CONSTRAINT activity_logs_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  activity_type text NOT NULL CONSTRAINT activity_logs_type_known CHECK (activity_type IN (
    'a2a_send', 'a2a_receive', 'task_update', 'agent_log', 'skill_promotion', 'memory_write', 'error',
    'delegation'
  )),
  source_id uuid,
  target_id uuid,
  method text,
  summary text,
  request_body jsonb,
  response_body jsonb,
  duration_ms integer,
  status text NOT NULL,
  error_detail text,
  created_at timestamptz NOT NULL,
  CONSTRAINT activity_logs_seq_unique UNIQUE (workspace_id, seq)
);
CREATE INDEX activity_logs_created_idx ON activity_logs (workspace_id, created_at DESC);
