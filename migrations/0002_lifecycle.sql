-- Lifecycle across replicas, events, operators' tokens, audit.

-- Who runs this platform: a row per process, whose beats tell the others that it is there.
CREATE TABLE replicas (
  id uuid PRIMARY KEY,
  -- The machine whose boxes it holds; NULL where every replica reaches all of them.
  host_id text,
  version text NOT NULL,
  started_at timestamptz NOT NULL,
  last_beat_at timestamptz NOT NULL
);

ALTER TABLE workspaces
  -- The machine that holds box and volume; NULL where every replica reaches them.
  ADD COLUMN host_id text,
  -- The generation of a box that may be there: written before its start, cleared when its end is sure.
  ADD COLUMN box_generation integer,
  -- The back-end's own name for the box (control plane), NULL where it needs none.
  ADD COLUMN instance_id text,
  -- Where the back-end gives no URL: the only host that the agent of this box may report.
  ADD COLUMN box_address text,
  -- Which back-end holds the box; another one cannot end it.
  ADD COLUMN back_end text,
  -- When the box of this generation came up; NULL while a start is wanted or under way.
  ADD COLUMN box_started_at timestamptz,
  -- The next start gives the template's files again, over what the volume holds.
  ADD COLUMN is_template_due boolean NOT NULL DEFAULT false,
  ADD COLUMN isolation text
    CONSTRAINT workspaces_isolation_known CHECK (isolation IN ('process', 'sandbox', 'container', 'machine')),
  ADD COLUMN status_since timestamptz,
  -- The last message, file or task; a beat of an idle agent is none (wart W19).
  ADD COLUMN last_activity_at timestamptz,
  ADD COLUMN hibernation_idle_minutes integer
    CONSTRAINT workspaces_hibernation_idle_minutes_positive CHECK (hibernation_idle_minutes > 0),
  -- What the runtime says of itself with its beats: capabilities, idle timeout.
  ADD COLUMN runtime_metadata jsonb,
  -- The restart budget's memory, newest last; never longer than the budget.
  ADD COLUMN deaths timestamptz[] NOT NULL DEFAULT '{}',
  -- When the current inbound secret was handed to the workspace, and when it proved to hold it.
  ADD COLUMN inbound_secret_delivered_at timestamptz,
  ADD COLUMN inbound_secret_acknowledged_at timestamptz;
-- Room on each page for the next beat of its rows: a beat writes no index, so it stays there (HOT).
ALTER TABLE workspaces SET (fillfactor = 70);
UPDATE workspaces SET status_since = updated_at;
-- Until now there was one back-end; its boxes ended with the platform that held them.
UPDATE workspaces SET back_end = 'process', box_generation = generation
 WHERE generation > 0 AND runtime_kind <> 'external' AND status <> 'removed';
ALTER TABLE workspaces ALTER COLUMN status_since SET NOT NULL;

-- What has to be done to a workspace's box, at most one row each: it runs while its lease is held,
-- and waits otherwise. A request that arrives during a run leaves the row for one more.
CREATE TABLE lifecycle_runs (
  workspace_id uuid PRIMARY KEY
    CONSTRAINT lifecycle_runs_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  host_id text,
  -- Raised by every request; a run that ends having seen an older number leaves the row.
  request bigint NOT NULL DEFAULT 1,
  reason text NOT NULL,
  requested_at timestamptz NOT NULL,
  not_before timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  -- The row of the workspace goes too, once nothing of it is left.
  is_purge boolean NOT NULL DEFAULT false,
  -- From lifecycle_fence with every claim: who writes with an older one has been taken over.
  fence bigint NOT NULL DEFAULT 0,
  lease_owner uuid,
  lease_until timestamptz
);
CREATE INDEX lifecycle_runs_due_idx ON lifecycle_runs (not_before);
CREATE SEQUENCE lifecycle_fence;

-- What happened to workspaces, for people and programs that follow (contract/platform 9).
CREATE TABLE structure_events (
  -- In writing order: of two events of one workspace, whose row is locked, the later has the higher.
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Given once the writing transaction has committed, under a lock: reading order is commit order.
  seq bigint CONSTRAINT structure_events_seq_unique UNIQUE,
  event_type text NOT NULL,
  -- No foreign key: a removal is told of after its row is gone.
  workspace_id uuid,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX structure_events_workspace_idx ON structure_events (workspace_id, seq);
CREATE INDEX structure_events_unsequenced_idx ON structure_events (id) WHERE seq IS NULL;
CREATE SEQUENCE structure_events_seq;

ALTER TABLE workspace_auth_tokens DROP CONSTRAINT workspace_auth_tokens_purpose_known;
ALTER TABLE workspace_auth_tokens ADD CONSTRAINT workspace_auth_tokens_purpose_known
  CHECK (purpose IN ('runtime', 'test', 'user'));

-- Operators' tokens for a whole organisation; only their SHA-256 is stored (contract/platform 3.3).
CREATE TABLE org_api_tokens (
  id uuid PRIMARY KEY,
  token_hash bytea NOT NULL CONSTRAINT org_api_tokens_hash_unique UNIQUE,
  prefix text NOT NULL,
  name text,
  created_by text NOT NULL,
  org_id text,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz
);

-- Every mint, rotation, revocation and refused use of a credential; never the credential.
CREATE TABLE audit_events (
  id uuid PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  action text NOT NULL,
  outcome text NOT NULL CONSTRAINT audit_events_outcome_known CHECK (outcome IN ('ok', 'refused')),
  actor_kind text NOT NULL,
  actor_id text,
  workspace_id uuid,
  subject text,
  -- Refused uses of the same kind within a minute are one row.
  count integer NOT NULL DEFAULT 1,
  detail jsonb,
  request_id text
);
CREATE INDEX audit_events_occurred_idx ON audit_events (occurred_at DESC, id DESC);
CREATE INDEX audit_events_workspace_idx ON audit_events (workspace_id, occurred_at DESC);

-- The last pass of every reconciler, whichever replica made it (GET /admin/liveness).
CREATE TABLE sweep_passes (
  name text PRIMARY KEY,
  last_tick_at timestamptz NOT NULL,
  replica_id uuid NOT NULL,
  took_ms integer NOT NULL,
  result jsonb NOT NULL
);

ALTER TABLE activity_logs
  ADD COLUMN tool_trace jsonb,
  -- Who spoke when it was no workspace and no person: 'webhook:...', 'channel:...' (wart W7).
  ADD COLUMN source_name text,
  -- What a sender calls this row, so that a repetition of its request adds no second one.
  ADD COLUMN idempotency_key text,
  -- Of the bodies together, as JSON text: a page of the feed is bounded without reading them.
  ADD COLUMN body_bytes integer NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX activity_logs_idempotency_idx ON activity_logs (workspace_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
-- For the retention, which looks for old rows of all workspaces.
CREATE INDEX activity_logs_age_idx ON activity_logs (created_at);
