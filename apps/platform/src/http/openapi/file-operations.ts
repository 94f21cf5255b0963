/** @module The reference of files: storing them, and looking into a workspace. */
import {
  ARCHIVE_FORMATS,
  DEFAULT_PREVIEW_BYTES,
  MAX_CONTENT_BYTES,
  MAX_LIST_ENTRIES,
  MAX_PREVIEW_BYTES,
} from '@atrium/runtime-contract/file-inspection'
import { MAX_PLAIN_FIELDS } from '@atrium/runtime-contract/file-transfer'
import { z } from 'zod'
import { uploadResponse } from '../wire/exchange.wire.ts'
import { fileContent, filePreview, folderPage } from '../wire/file-inspection.wire.ts'
import {
  jobControlBody,
  jobControlRemovedResponse,
  jobControlResponse,
} from '../wire/job-control.wire.ts'
import { FORWARDING } from './forwarding-errors.ts'
import { type Operation, type Operations, ok } from './operation.ts'

/** What is wrong with a path's text, and what is found where it leads. */
const PATH_ERRORS = [
  'path_required',
  'path_not_absolute',
  'path_outside_roots',
  'invalid_path',
  'file_not_found',
  'file_forbidden',
  'stat_failed',
] as const

const absolutePath = z.string().describe('Absolute, under /configs, /workspace, /home or /plugins.')
const listPage = {
  limit: z.int().min(1).max(MAX_LIST_ENTRIES).default(MAX_LIST_ENTRIES).optional(),
  cursor: z.string().optional().describe('The `next_cursor` of the page before.'),
}
const byteWindow = {
  offset: z.int().min(0).default(0).optional(),
  limit: z.int().min(1).max(MAX_PREVIEW_BYTES).default(DEFAULT_PREVIEW_BYTES).optional(),
  tail: z
    .int()
    .min(1)
    .max(MAX_PREVIEW_BYTES)
    .optional()
    .describe('The last bytes, in place of `offset` and `limit`.'),
}

const download: Operation = {
  tag: 'Files',
  summary: 'Read a file of a workspace',
  description: 'Ranges and validators are honoured; HEAD answers without the bytes.',
  query: z.object({
    path: absolutePath,
  }),
  headers: z.object({
    range: z.string().optional(),
    'if-range': z.string().optional(),
    'if-none-match': z.string().optional(),
  }),
  answers: {
    200: { description: 'The file, as an attachment.', contentType: 'application/octet-stream' },
    206: { description: 'The range.', contentType: 'application/octet-stream' },
    304: { description: 'It is the one that the client has.' },
  },
  errors: [...FORWARDING, ...PATH_ERRORS, 'not_a_regular_file', 'range_not_satisfiable'],
}

const sessionPath = z
  .string()
  .optional()
  .describe("Relative to the session's folder, which it is when it is left out.")

/** contract/runtime 20.4 */
const SESSION_ERRORS = [
  ...FORWARDING,
  'invalid_session_id',
  'invalid_path',
  'invalid_query',
  'not_found',
  'path_escape',
  'file_forbidden',
  'stat_failed',
  'reader_failed',
  'shellctl_error',
  'job_control_unreadable',
] as const

const JOB_CONTROL_ERRORS = ['invalid_workspace_id', 'workspace_not_found'] as const

export const FILE_OPERATIONS: Operations = {
  'POST /workspaces/:id/chat/uploads': {
    tag: 'Files',
    summary: 'Store files in a workspace',
    description: `Parts named \`files\`, and at most ${MAX_PLAIN_FIELDS} plain ones, which are ignored. All of them are stored, or none.`,
    body: { contentType: 'multipart/form-data' },
    answers: ok(uploadResponse, 'Stored, durably.'),
    errors: [
      ...FORWARDING,
      'declared_length_exceeds_total',
      'total_limit_exceeded',
      'file_limit_exceeded',
      'multipart_malformed',
      'files_field_missing',
      'uploads_dir_failed',
      'upload_collision',
      'upload_write_failed',
      'upload_stalled',
      'insufficient_storage',
    ],
  },
  'GET /workspaces/:id/chat/download': download,
  'GET /workspaces/:id/files/download': download,
  'GET /workspaces/:id/files': {
    tag: 'Files',
    summary: 'List a folder of a workspace',
    description:
      'Sorted by the bytes of the names. The next page begins behind the last name of this one, whatever comes and goes meanwhile.',
    query: z.object({ path: absolutePath, ...listPage }),
    answers: ok(folderPage, 'A page of it.'),
    errors: [...FORWARDING, ...PATH_ERRORS, 'invalid_query', 'not_a_directory'],
  },
  'GET /workspaces/:id/files/preview': {
    tag: 'Files',
    summary: 'Look at a part of a file of a workspace',
    description:
      'UTF-8, and UTF-16 with its mark, as text; no character is ever cut. What has a NUL or is no text is told as binary, without it.',
    query: z.object({ path: absolutePath, ...byteWindow }),
    answers: ok(filePreview, 'The part.'),
    errors: [...FORWARDING, ...PATH_ERRORS, 'invalid_query', 'not_a_regular_file'],
  },
  'GET /workspaces/:id/files/archive': {
    tag: 'Files',
    summary: 'Read a folder of a workspace as one archive',
    description:
      'Streamed, without links. One that breaks ends with its connection broken, never as if it were whole.',
    query: z.object({
      path: absolutePath,
      format: z.enum(ARCHIVE_FORMATS).default('tar').optional(),
    }),
    answers: {
      200: {
        description: 'The archive, as an attachment.',
        contentType: 'application/octet-stream',
      },
    },
    errors: [
      ...FORWARDING,
      ...PATH_ERRORS,
      'invalid_query',
      'not_a_directory',
      'archive_too_large',
      'archive_busy',
      'archive_failed',
    ],
  },
  'GET /workspaces/:id/sessions/:sessionId/files': {
    tag: 'Files',
    summary: 'List a folder of a session',
    description:
      'Sorted by the bytes of the names; what is neither folder nor link is told as a file. Links that stay inside the session are followed to the folder.',
    query: z.object({ path: sessionPath, ...listPage }),
    answers: ok(folderPage, 'A page of it.'),
    errors: [...SESSION_ERRORS, 'not_a_directory'],
  },
  'GET /workspaces/:id/sessions/:sessionId/files/preview': {
    tag: 'Files',
    summary: 'Look at a part of a file of a session',
    query: z.object({ path: sessionPath, ...byteWindow }),
    answers: ok(filePreview, 'The part.'),
    errors: [...SESSION_ERRORS, 'is_a_directory', 'not_a_regular_file'],
  },
  'GET /workspaces/:id/sessions/:sessionId/files/download': {
    tag: 'Files',
    summary: 'Read a window of a file of a session',
    description: `In JSON; a window has at most ${MAX_CONTENT_BYTES} bytes.`,
    query: z.object({
      path: sessionPath,
      offset: z.int().min(0).default(0).optional(),
    }),
    answers: ok(fileContent, 'The window.'),
    errors: [...SESSION_ERRORS, 'is_a_directory', 'not_a_regular_file'],
  },
  'PUT /workspaces/:id/job-control': {
    tag: 'Files',
    summary: 'Look into the sessions of a workspace through a job-control host',
    description:
      'For hosts that offer job control and no file API. Its address is judged as those of agents are. Replaces what was written down before.',
    body: { schema: jobControlBody },
    answers: ok(jobControlResponse, 'Written down; the token is sealed and never told again.'),
    errors: [...JOB_CONTROL_ERRORS, 'invalid_job_control', 'payload_too_large'],
  },
  'GET /workspaces/:id/job-control': {
    tag: 'Files',
    summary: 'Read which job-control host a workspace has',
    answers: ok(jobControlResponse, 'Everything about it but the token.'),
    errors: [...JOB_CONTROL_ERRORS, 'job_control_not_found'],
  },
  'DELETE /workspaces/:id/job-control': {
    tag: 'Files',
    summary: 'Look into the sessions of a workspace through its runtime again',
    answers: ok(jobControlRemovedResponse),
    errors: [...JOB_CONTROL_ERRORS, 'job_control_not_found'],
  },
}
