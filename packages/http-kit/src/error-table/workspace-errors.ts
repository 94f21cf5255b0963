/** @module Workspaces, their lifecycle, the registry. */
import type { ErrorEntries } from './error-entry.ts'

export const WORKSPACE_ERRORS = {
  // Workspaces (contract/platform 7)
  invalid_workspace_id: { status: 400, text: 'invalid workspace ID', retryable: false },
  workspace_not_found: { status: 404, text: 'workspace not found', retryable: false },
  invalid_workspace_payload: { status: 400, text: 'invalid workspace payload', retryable: false },
  invalid_workspace_fields: { status: 400, text: 'invalid workspace fields', retryable: false },
  invalid_workspace_directory: {
    status: 400,
    text: 'invalid workspace directory',
    retryable: false,
  },
  invalid_workspace_access: { status: 400, text: 'invalid workspace access', retryable: false },
  invalid_delivery_mode: {
    status: 400,
    text: "delivery_mode must be 'push' or 'poll'",
    retryable: false,
  },
  operator_fields: {
    status: 403,
    text: 'only an operator may change these fields of a workspace',
    retryable: false,
  },
  parent_cycle: {
    status: 409,
    text: 'a workspace cannot be below itself',
    retryable: false,
  },
  invalid_template: { status: 400, text: 'invalid template', retryable: false },
  config_not_found: { status: 400, text: 'no config found for workspace', retryable: false },
  no_sub_workspaces: {
    status: 400,
    text: 'workspace has no sub_workspaces defined in config',
    retryable: false,
  },
  invalid_sub_workspace: {
    status: 500,
    text: 'a sub_workspace in the config cannot be made',
    retryable: false,
  },
  create_failed: { status: 500, text: 'failed to create workspace', retryable: false },
  confirmation_required: {
    status: 409,
    text: 'workspace has children; repeat with ?confirm=true to delete them too',
    retryable: false,
  },
  // Contract/platform 7.6.
  parent_paused: {
    status: 409,
    text: 'parent workspace is paused — resume it first',
    retryable: false,
  },
  workspace_already_paused: {
    status: 404,
    text: 'workspace not found or already paused',
    retryable: false,
  },
  workspace_not_paused: {
    status: 404,
    text: 'workspace not found or not paused',
    retryable: false,
  },
  workspace_not_hibernatable: {
    status: 404,
    text: 'workspace not found or not in a hibernatable state (must be online or degraded)',
    retryable: false,
  },
  workspace_busy: {
    status: 409,
    text: 'workspace has active tasks; use ?force=true to terminate them',
    retryable: true,
  },
  external_workspace: {
    status: 409,
    text: 'external workspace: its agent runs elsewhere and cannot be started from here',
    retryable: false,
  },
  workspace_waking: {
    status: 503,
    text: 'workspace is waking from hibernation — retry in ~15 seconds',
    retryable: true,
    retryAfterSeconds: 15,
  },
  stop_failed: {
    status: 500,
    text: 'failed to stop workspace',
    retryable: true,
    hop: 'provisioner',
  },
  provisioner_unavailable: {
    status: 503,
    text: 'provisioner not available',
    retryable: false,
    hop: 'provisioner',
  },
  control_plane_unreachable: {
    status: 502,
    text: 'the control plane cannot be reached',
    retryable: true,
    hop: 'provisioner',
  },
  control_plane_timeout: {
    status: 504,
    text: 'the control plane did not answer in time',
    retryable: true,
    hop: 'provisioner',
  },
  control_plane_failed: {
    status: 502,
    text: 'the control plane answered with an error',
    retryable: true,
    hop: 'provisioner',
  },
  console_unavailable: {
    status: 404,
    text: 'this workspace has no console output on this platform',
    retryable: false,
  },

  // Registry (contract/platform 2)
  invalid_agent_url: { status: 400, text: 'url is not valid', retryable: false },
  agent_url_required: { status: 400, text: 'url is required', retryable: false },
  registration_failed: { status: 500, text: 'registration failed', retryable: true },
  stale_generation: {
    status: 409,
    text: 'a newer start of this workspace has taken over',
    retryable: false,
  },
  card_update_failed: { status: 500, text: 'failed to update card', retryable: true },
  workspace_id_header_required: {
    status: 400,
    text: 'X-Workspace-ID header is required',
    retryable: false,
  },
  discovery_denied: {
    status: 403,
    text: 'not authorized to discover this workspace',
    retryable: false,
  },
  workspace_url_unsafe: {
    status: 503,
    text: 'workspace URL failed safety check',
    retryable: false,
  },
  workspace_not_available: { status: 503, text: 'workspace not available', retryable: true },
  heartbeat_failed: { status: 500, text: 'failed to update', retryable: true },
} as const satisfies ErrorEntries
