/** @module Paths and files in the workspace. */
import type { ErrorEntries } from './error-entry.ts'

export const FILE_ERRORS = {
  // Paths (contract/platform 6.3)
  path_required: { status: 400, text: 'path query required', retryable: false },
  path_not_absolute: { status: 400, text: 'path must be absolute', retryable: false },
  path_outside_roots: {
    status: 400,
    text: 'path must be under /configs, /workspace, /home, or /plugins',
    retryable: false,
  },
  invalid_path: { status: 400, text: 'invalid path', retryable: false },

  // Files in the workspace (contract/runtime 2.2 and 3.1)
  file_not_found: { status: 404, text: 'file not found', retryable: false },
  file_forbidden: { status: 403, text: 'file is not readable', retryable: false },
  not_a_regular_file: { status: 400, text: 'path is not a regular file', retryable: false },
  not_a_directory: { status: 400, text: 'path is not a directory', retryable: false },
  stat_failed: { status: 500, text: 'stat failed', retryable: true },
  declared_length_exceeds_total: {
    status: 413,
    text: 'request body exceeds total limit (50 MB)',
    retryable: false,
  },
  total_limit_exceeded: {
    status: 413,
    text: 'total request body exceeds limit (50 MB)',
    retryable: false,
  },
  file_limit_exceeded: {
    status: 413,
    text: 'file exceeds per-file limit (25 MB)',
    retryable: false,
  },
  multipart_malformed: { status: 400, text: 'failed to parse multipart form', retryable: false },
  files_field_missing: {
    status: 400,
    text: "expected at least one 'files' field",
    retryable: false,
  },
  uploads_dir_failed: { status: 500, text: 'failed to prepare uploads dir', retryable: true },
  upload_collision: { status: 500, text: 'internal collision; retry', retryable: true },
  upload_write_failed: { status: 500, text: 'failed to write file', retryable: true },
  upload_stalled: { status: 400, text: 'upload stalled', retryable: true },
  insufficient_storage: { status: 507, text: 'insufficient storage', retryable: true },

  // Archives of folders (ADR-0043): told only before the first bytes, a broken connection later
  archive_too_large: {
    status: 413,
    text: 'folder exceeds what an archive may hold',
    retryable: false,
  },
  archive_busy: {
    status: 503,
    text: 'too many archives are being made',
    retryable: true,
    hop: 'workspace',
    retryAfterSeconds: 5,
  },
  archive_failed: {
    status: 500,
    text: 'a file changed or could not be read while it was archived',
    retryable: true,
  },

  // Folders of sessions (contract/runtime 20.4)
  invalid_session_id: {
    status: 400,
    text: 'session id must be 7 lower-case hexadecimal digits',
    retryable: false,
  },
  path_escape: { status: 400, text: 'path escapes the workspace', retryable: false },
  is_a_directory: { status: 400, text: 'path is a directory', retryable: false },
  bad_op: { status: 400, text: 'unsupported operation', retryable: false },
  reader_failed: {
    status: 502,
    text: 'the reader of the job-control host gave no answer that can be understood',
    retryable: true,
    hop: 'workspace',
  },
  shellctl_error: {
    status: 502,
    text: 'the job-control host could not be asked',
    retryable: true,
    hop: 'workspace',
  },

  invalid_job_control: {
    status: 400,
    text: 'url or token of the job-control host is not acceptable',
    retryable: false,
  },
  job_control_not_found: {
    status: 404,
    text: 'no job-control host is written down for this workspace',
    retryable: false,
  },
  job_control_unreadable: {
    status: 500,
    text: 'failed to read the token of the job-control host',
    retryable: false,
  },

  agent_not_configured: {
    status: 503,
    text: 'agent is not configured',
    retryable: false,
    hop: 'workspace',
  },
  agent_starting: {
    status: 503,
    text: 'agent is starting',
    retryable: true,
    hop: 'workspace',
    retryAfterSeconds: 5,
  },
} as const satisfies ErrorEntries
