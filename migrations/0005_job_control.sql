-- Hosts that offer job control and no file API, one for a workspace: its sessions are looked into
-- through it (contract/shellctl). The row is an operator's word and nobody else's.
CREATE TABLE workspace_job_control (
  workspace_id uuid
    CONSTRAINT workspace_job_control_pk PRIMARY KEY
    CONSTRAINT workspace_job_control_workspace_fk REFERENCES workspaces (id) ON DELETE CASCADE,
  url text NOT NULL,
  encrypted_token text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
