-- Messages on their way: the ledger, tasks that callers come back for, their events and webhooks.

CREATE TYPE delivery_state AS ENUM (
  'queued', 'leased', 'dispatched', 'completed', 'failed', 'expired', 'dropped', 'dead'
);

-- From a2a_fence with every claim: who writes with an older one has been taken over.
CREATE SEQUENCE a2a_fence;

-- One row for each message to a workspace, pushed, polled or queued. Its id is the id under which the
-- sender asks for it: of the queue, and of the task until the agent has given it another.
CREATE TABLE a2a_deliveries (
  id uuid PRIMARY KEY,
  -- In order of acceptance: FIFO within a priority.
  seq bigint GENERATED ALWAYS AS IDENTITY,
  workspace_id uuid NOT NULL
    CONSTRAINT a2a_deliveries_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  -- 'workspace:<id>', 'org_token:<id>', 'session:<user>', 'admin', 'anonymous', 'internal:<name>'.
  sender text NOT NULL,
  sender_workspace_id uuid,
  priority smallint NOT NULL DEFAULT 50,
  state delivery_state NOT NULL,
  delivery_mode text NOT NULL
    CONSTRAINT a2a_deliveries_mode_known CHECK (delivery_mode IN ('push', 'poll')),
  -- How the sender speaks; the answer is stored as the sender was to read it.
  dialect text NOT NULL CONSTRAINT a2a_deliveries_dialect_known CHECK (dialect IN ('0.1', '0.3', '1.0')),
  method text NOT NULL,
  is_streaming boolean NOT NULL,
  context_id text,
  message_id text,
  -- The bytes that are sent, untouched unless they had to be completed.
  request bytea NOT NULL,
  -- Of the sender's headers those that go on to the agent.
  request_headers jsonb NOT NULL DEFAULT '{}',
  -- What the sender calls this message, so that a repetition of it is answered and not sent again.
  idempotency_key text,
  key_expires_at timestamptz,
  -- SHA-256 of what is said: the same key with another one is refused.
  fingerprint bytea NOT NULL,
  -- The agent answers a repetition of this delivery without doing it twice.
  is_idempotent boolean NOT NULL DEFAULT false,
  -- Whether somebody waits elsewhere for the end, who is then told by a notification.
  is_awaited boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  lease_owner uuid,
  lease_until timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  -- When it was accepted; `queued_at` when it last had to wait.
  enqueued_at timestamptz NOT NULL,
  queued_at timestamptz,
  dispatched_at timestamptz,
  finished_at timestamptz,
  expires_at timestamptz,
  last_error text,
  -- Why it ended as it did: a code of the failure contract, or of the ledger ('outcome_unknown').
  reason text,
  response_status smallint,
  -- NULL with a response_status: too large to keep.
  response bytea,
  upstream_task_id text,
  delegation_id uuid,
  -- The row of the activity log in which a polling agent finds it.
  activity_id uuid
);
-- The drain's order.
CREATE INDEX a2a_deliveries_waiting_idx ON a2a_deliveries (workspace_id, priority DESC, seq)
  WHERE state IN ('queued', 'leased');
CREATE INDEX a2a_deliveries_leased_idx ON a2a_deliveries (lease_until)
  WHERE state IN ('leased', 'dispatched');
CREATE INDEX a2a_deliveries_in_flight_idx ON a2a_deliveries (workspace_id)
  WHERE state IN ('leased', 'dispatched');
CREATE INDEX a2a_deliveries_expiring_idx ON a2a_deliveries (expires_at)
  WHERE expires_at IS NOT NULL AND state = 'queued';
CREATE INDEX a2a_deliveries_finished_idx ON a2a_deliveries (finished_at) WHERE finished_at IS NOT NULL;
-- Tasks that are listed although no agent has told of them.
CREATE INDEX a2a_deliveries_listing_idx ON a2a_deliveries (workspace_id)
  WHERE delivery_mode = 'poll' OR queued_at IS NOT NULL;
CREATE UNIQUE INDEX a2a_deliveries_key_idx ON a2a_deliveries (workspace_id, sender, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX a2a_deliveries_delegation_idx ON a2a_deliveries (delegation_id)
  WHERE delegation_id IS NOT NULL;
CREATE INDEX a2a_deliveries_upstream_task_idx ON a2a_deliveries (workspace_id, upstream_task_id)
  WHERE upstream_task_id IS NOT NULL;

-- Tasks that callers come back for: what an agent of 0.3 cannot list, and what waits in the queue.
CREATE TABLE a2a_tasks (
  workspace_id uuid NOT NULL
    CONSTRAINT a2a_tasks_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  -- As its sender knows it: the agent's id, or that of the delivery when it was queued.
  task_id text NOT NULL,
  -- What the agent calls it; NULL until it has it.
  upstream_task_id text,
  delivery_id uuid,
  sender text NOT NULL,
  context_id text,
  -- As in 1.0: 'TASK_STATE_WORKING'.
  state text NOT NULL,
  status_at timestamptz NOT NULL,
  -- A copy in the agent's dialect; NULL when it was too large.
  snapshot bytea,
  dialect text NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, task_id)
);
CREATE INDEX a2a_tasks_listing_idx ON a2a_tasks (workspace_id, status_at DESC, task_id DESC);
CREATE INDEX a2a_tasks_upstream_idx ON a2a_tasks (workspace_id, upstream_task_id);
CREATE INDEX a2a_tasks_age_idx ON a2a_tasks (updated_at);

-- Who reads the agent's events of a task, for all replicas.
CREATE TABLE a2a_streams (
  workspace_id uuid NOT NULL
    CONSTRAINT a2a_streams_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  task_id text NOT NULL,
  -- What the agent calls it.
  upstream_task_id text NOT NULL,
  sender text NOT NULL,
  dialect text NOT NULL,
  owner uuid NOT NULL,
  lease_until timestamptz NOT NULL,
  fence bigint NOT NULL,
  last_seq bigint NOT NULL DEFAULT 0,
  -- Set with the event after which no other comes.
  ended_at timestamptz,
  PRIMARY KEY (workspace_id, task_id)
);

CREATE INDEX a2a_streams_lost_idx ON a2a_streams (lease_until) WHERE ended_at IS NULL;
CREATE INDEX a2a_streams_ended_idx ON a2a_streams (ended_at) WHERE ended_at IS NOT NULL;

-- What was told of a task, for readers that come back: the last of them, and not for long.
CREATE TABLE a2a_task_events (
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  seq bigint NOT NULL,
  -- The JSON-RPC reply in the agent's own bytes.
  event bytea NOT NULL,
  dialect text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, task_id, seq),
  CONSTRAINT a2a_task_events_stream_fk FOREIGN KEY (workspace_id, task_id)
    REFERENCES a2a_streams (workspace_id, task_id) ON DELETE CASCADE
);

-- Webhooks of callers, which we call in the agent's place.
CREATE TABLE a2a_push_configs (
  workspace_id uuid NOT NULL
    CONSTRAINT a2a_push_configs_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  task_id text NOT NULL,
  config_id text NOT NULL,
  sender text NOT NULL,
  dialect text NOT NULL,
  url text NOT NULL,
  -- Token and credentials of the caller's own, sealed like every secret (ADR-0009).
  secret_sealed text,
  -- Of a message that has to wait: its end is told, and then this is NULL.
  delivery_id uuid,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, task_id, config_id)
);
CREATE INDEX a2a_push_configs_delivery_idx ON a2a_push_configs (delivery_id)
  WHERE delivery_id IS NOT NULL;

CREATE TABLE a2a_push_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace_id uuid NOT NULL,
  task_id text NOT NULL,
  config_id text NOT NULL,
  event bytea NOT NULL,
  dialect text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  lease_owner uuid,
  lease_until timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  CONSTRAINT a2a_push_outbox_config_fk FOREIGN KEY (workspace_id, task_id, config_id)
    REFERENCES a2a_push_configs (workspace_id, task_id, config_id) ON DELETE CASCADE
);
CREATE INDEX a2a_push_outbox_due_idx ON a2a_push_outbox (next_attempt_at);

-- One agent asks another to do something and does not wait (contract/platform 4.10).
CREATE TYPE delegation_status AS ENUM ('pending', 'dispatched', 'queued', 'in_progress', 'completed', 'failed');
CREATE TABLE delegations (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL
    CONSTRAINT delegations_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  target_id uuid NOT NULL,
  task text NOT NULL,
  idempotency_key text,
  status delegation_status NOT NULL,
  -- Sent by the workspace itself and only written down here.
  is_recorded boolean NOT NULL DEFAULT false,
  delivery_id uuid,
  response_preview text,
  error text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX delegations_key_idx ON delegations (workspace_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX delegations_workspace_idx ON delegations (workspace_id, created_at DESC, id DESC);
-- What somebody still has to bring to its end.
CREATE INDEX delegations_open_idx ON delegations (updated_at)
  WHERE status NOT IN ('completed', 'failed');

-- The delivery that a message in the log belongs to: under this id its agent answers it.
ALTER TABLE activity_logs ADD COLUMN queue_id uuid;

-- How far a polling agent has read, when it lets us keep that.
CREATE TABLE activity_cursors (
  workspace_id uuid NOT NULL
    CONSTRAINT activity_cursors_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  name text NOT NULL,
  seq bigint NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, name)
);

-- How far the log has lost its beginning to age: who has read less than that has missed something.
CREATE TABLE activity_pruned (
  workspace_id uuid PRIMARY KEY
    CONSTRAINT activity_pruned_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  seq bigint NOT NULL
);

-- What agents say their answers have cost in model tokens, by day of UTC (contract/platform 4.11).
CREATE TABLE workspace_token_usage (
  workspace_id uuid NOT NULL
    CONSTRAINT workspace_token_usage_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  day date NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  -- How many answers have said something.
  answers bigint NOT NULL,
  PRIMARY KEY (workspace_id, day)
);

-- Kept as they were written: jsonb sorts keys, drops those that come twice, and writes 1e300 in full.
ALTER TABLE activity_logs
  ALTER COLUMN request_body TYPE json,
  ALTER COLUMN response_body TYPE json,
  ALTER COLUMN tool_trace TYPE json;
