-- What waits for one webhook, the oldest first; and what goes with it.
CREATE INDEX a2a_push_outbox_config_idx ON a2a_push_outbox (workspace_id, task_id, config_id, id);
