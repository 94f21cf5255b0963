/**
 * @module The question to the fixed reader of a job-control host. Its program is a constant; the text
 * of the reader and every input travel in the environment (contract/runtime 20.1, ADR-0045).
 */
import { readFileSync } from 'node:fs'
import type { ShellctlJob } from '../../upstream/shellctl-client.ts'
import type { SessionCall, SessionOperation } from './session-transport.ts'

/**
 * Isolated: neither the folder it starts in nor the user's own Python can put anything into it; and
 * nothing that is installed beside the standard library, which also halves what a start costs.
 */
const SCRIPT = 'exec python3 -I -S -c "$ATRIUM_SESSION_READER"'

const READER = readFileSync(new URL('./session-reader.py', import.meta.url), 'utf8')

/** `OFFSET` in place of the beginning of the last so many bytes. */
const FROM_THE_END = '-1'

/** The job that answers the call. */
export function readerJob(call: Pick<SessionCall, 'session' | 'path' | 'operation'>): ShellctlJob {
  return {
    script: SCRIPT,
    env: {
      ATRIUM_SESSION_READER: READER,
      // The tilde is the reader's to expand: its home is not known here.
      DIFY_FS_ROOT: `~/workspace/${call.session}`,
      DIFY_FS_REL: call.path.segments.join('/') || '.',
      ...inputsOf(call.operation),
    },
  }
}

function inputsOf(operation: SessionOperation): Record<string, string> {
  if (operation.kind === 'list') {
    const { limit, after } = operation.page
    return {
      DIFY_FS_OP: 'list',
      DIFY_FS_LIST_LIMIT: String(limit),
      ATRIUM_FS_AFTER: after?.toString('base64') ?? '',
    }
  }
  const { window } = operation
  return {
    DIFY_FS_OP: operation.kind === 'preview' ? 'preview' : 'download',
    DIFY_FS_MAX: String('tail' in window ? window.tail : window.limit),
    ATRIUM_FS_OFFSET: 'tail' in window ? FROM_THE_END : String(window.offset),
  }
}
