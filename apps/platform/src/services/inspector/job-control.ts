/**
 * @module The host that offers job control for a workspace, and the token that opens it: written
 * down by operators, sealed, and never told again. Every change is in the audit trail.
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import {
  deleteJobControl,
  findJobControlRow,
  type JobControlRow,
  saveJobControl,
} from '../../db/job-control-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { openSecret, sealSecret } from '../../domain/secret-envelope.ts'
import { type AddressPolicy, type Resolve, validateAgentUrl } from '../../upstream/agent-address.ts'
import { type AuditContext, recordAudit } from '../audit-trail.ts'
import { getWorkspace } from '../find-workspace.ts'
import type { CredentialDeps } from '../workspace-credentials.ts'

export type JobControlDeps = CredentialDeps & {
  readonly addressPolicy: AddressPolicy
  readonly resolve: Resolve
}

export type JobControl = { readonly url: URL; readonly token: Secret }

/** Everything about it but the token. */
export type JobControlFacts = Omit<JobControlRow, 'encryptedToken'>

/** The host of a workspace; undefined where nobody has written one down. Throws `job_control_unreadable`. */
export async function findJobControl(
  deps: Pick<CredentialDeps, 'db' | 'keyring'>,
  workspaceId: WorkspaceId,
): Promise<JobControl | undefined> {
  const row = await findJobControlRow(deps.db, workspaceId)
  if (row === undefined) return undefined
  try {
    const token = openSecret(deps.keyring, jobControlOwner(workspaceId), row.encryptedToken)
    return { url: new URL(row.url), token }
  } catch (cause) {
    throw new AppError('job_control_unreadable', { cause })
  }
}

/** Throws `workspace_not_found`, `job_control_not_found`. */
export async function getJobControl(
  deps: Pick<CredentialDeps, 'db'>,
  workspaceId: WorkspaceId,
): Promise<JobControlFacts> {
  await getWorkspace(deps.db, workspaceId)
  const row = await findJobControlRow(deps.db, workspaceId)
  if (row === undefined) throw new AppError('job_control_not_found')
  return row
}

/** Throws `invalid_job_control`, `workspace_not_found`. */
export async function setJobControl(
  deps: JobControlDeps,
  input: {
    readonly workspaceId: WorkspaceId
    readonly url: string
    readonly token: Secret
    readonly by: AuditContext
  },
): Promise<JobControlFacts> {
  const { workspaceId, by } = input
  if (!isHeaderWord(input.token)) {
    throw new AppError('invalid_job_control', {
      message: `token must be 1 to ${MAX_TOKEN_LENGTH} printable ASCII characters without blanks`,
    })
  }
  const url = await acceptedUrl(deps, input.url)
  await getWorkspace(deps.db, workspaceId)
  const envelope = sealSecret(deps.keyring, jobControlOwner(workspaceId), input.token)
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const row = await saveJobControl(tx, { workspaceId, url: url.href, envelope, now })
    const detail = { url: url.href }
    await recordAudit({ ...deps, db: tx }, { action: 'job_control.set', workspaceId, detail, by })
    return row
  })
}

/** Throws `workspace_not_found`, `job_control_not_found`. */
export async function removeJobControl(
  deps: Pick<CredentialDeps, 'db' | 'clock' | 'ids'>,
  input: { readonly workspaceId: WorkspaceId; readonly by: AuditContext },
): Promise<void> {
  const { workspaceId, by } = input
  await getWorkspace(deps.db, workspaceId)
  await deps.db.transaction(async (tx) => {
    if (!(await deleteJobControl(tx, workspaceId))) throw new AppError('job_control_not_found')
    await recordAudit({ ...deps, db: tx }, { action: 'job_control.remove', workspaceId, by })
  })
}

export function jobControlOwner(workspaceId: WorkspaceId) {
  return { workspaceId, purpose: 'job-control' } as const
}

const MAX_TOKEN_LENGTH = 4_096

/** What can stand behind `Bearer `, and ends no header. */
function isHeaderWord(token: Secret): boolean {
  return token.reveal().length <= MAX_TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(token.reveal())
}

/** By the rule for the addresses of agents. What follows `?` or `#` would not survive a path below. */
async function acceptedUrl(deps: JobControlDeps, text: string): Promise<URL> {
  try {
    const url = await validateAgentUrl(text, { policy: deps.addressPolicy, resolve: deps.resolve })
    if (/[?#]/.test(text)) throw refused('url must have neither a query nor a fragment')
    return url
  } catch (error) {
    const cause = findAppError(error)
    throw cause?.code === 'invalid_agent_url' ? refused(cause.message, cause) : error
  }
}

function refused(message: string, cause?: unknown): AppError {
  return new AppError('invalid_job_control', { message, cause })
}
