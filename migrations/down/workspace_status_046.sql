-- Takes `awaiting_agent` and `hibernating` out of the enum again (the contract's 046, downwards), for
-- somebody who has to hand the database to a release that knows eight statuses. Never run by itself:
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -1 -f migrations/down/workspace_status_046.sql
-- PostgreSQL cannot drop a member: the type is renamed, made anew, cast to, and dropped. Every
-- platform has to be stopped first: the lock waits at most five seconds for them.
SET LOCAL lock_timeout = '5s';
LOCK TABLE workspaces IN ACCESS EXCLUSIVE MODE;

-- What those statuses mean to a release that has not heard of them.
UPDATE workspaces SET status = 'offline', status_since = now() WHERE status = 'awaiting_agent';
UPDATE workspaces SET status = 'hibernated', status_since = now() WHERE status = 'hibernating';

ALTER TYPE workspace_status RENAME TO workspace_status_before_046_down;
CREATE TYPE workspace_status AS ENUM (
  'provisioning', 'online', 'offline', 'degraded', 'failed', 'removed', 'paused', 'hibernated'
);
DROP INDEX workspaces_status_idx;
ALTER TABLE workspaces ALTER COLUMN status TYPE workspace_status
  USING status::text::workspace_status;
CREATE INDEX workspaces_status_idx ON workspaces (status);
DROP TYPE workspace_status_before_046_down;
