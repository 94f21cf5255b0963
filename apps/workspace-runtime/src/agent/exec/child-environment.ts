/** @module What a command may see of the environment (docs/guides/exec-adapter.md). */
import { BOX_MARKER_ENV, RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import { TOOL_ENV } from '../../tool/tool-settings.ts'
import { EVENTS_FD } from './run-command.ts'

/** A file of the message where the command finds it. */
export type PlacedAttachment = {
  readonly path: string
  readonly name: string
  readonly mimeType: string
}

export type JobFacts = {
  readonly messageId: string
  readonly contextId: string
  readonly taskId: string
  readonly attachments: readonly PlacedAttachment[]
  readonly outputDirectory: string
}

export type EnvironmentSource = {
  /** The runtime's own environment: the workspace's secrets (provider keys) are in it. */
  readonly own: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
  readonly workspaceDirectory: string
  /** With what a command can call its peers: by its own token, which stays in its file. */
  readonly tool: {
    readonly directory: string
    readonly nodePath: string
    readonly platformUrl: string
    readonly tokenFile: string
  }
  /** Values that must not get through under any name: the credentials as they are now. */
  readonly credentials: readonly string[]
}

/** Who the agent is and whom it answers to, under the contract's names (contract/runtime 6.6). */
export const IDENTITY_NAMES = [
  RUNTIME_ENV.workspaceId,
  RUNTIME_ENV.parentId,
  RUNTIME_ENV.tier,
] as const

const HANDED_DOWN_NAMES: ReadonlySet<string> = new Set([
  // Without it a provisioner could not find what outlived a runtime that was killed.
  BOX_MARKER_ENV,
  ...IDENTITY_NAMES,
])

// The runtime's wiring, and what an operator's shell may hold when it is started by hand. The
// workspace's own variables cannot be listed, so these are.
const WITHHELD_NAMES: ReadonlySet<string> = new Set([
  ...Object.values(RUNTIME_ENV),
  'ADMIN_TOKEN',
  'DATABASE_URL',
  'SECRETS_ENCRYPTION_KEY',
  'HOST',
])
const WITHHELD_PREFIXES = ['ATRIUM_', 'MOLECULE_', 'NODE_', 'npm_'] as const

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The environment of one job, built from nothing. */
export function childEnvironment(source: EnvironmentSource, job: JobFacts): Record<string, string> {
  const environment: Record<string, string> = { LANG: 'C.UTF-8', PATH: DEFAULT_PATH }
  for (const [name, value] of Object.entries(source.own)) {
    if (value !== undefined && mayPass(name, value, source.credentials)) environment[name] = value
  }
  environment['HOME'] = source.homeDirectory
  // After the others: a program of this name that the workspace has brought along is preferred.
  environment['PATH'] = `${environment['PATH']}:${source.tool.directory}`
  environment['ATRIUM_NODE'] = source.tool.nodePath
  environment[TOOL_ENV.platformUrl] = source.tool.platformUrl
  environment[TOOL_ENV.tokenFile] = source.tool.tokenFile
  environment['ATRIUM_WORKSPACE_DIR'] = source.workspaceDirectory
  environment['ATRIUM_OUTPUT_DIR'] = job.outputDirectory
  environment['ATRIUM_EVENTS_FD'] = String(EVENTS_FD)
  environment['ATRIUM_MESSAGE_ID'] = job.messageId
  environment['ATRIUM_CONTEXT_ID'] = job.contextId
  environment['ATRIUM_TASK_ID'] = job.taskId
  environment['ATRIUM_ATTACHMENTS'] = JSON.stringify(job.attachments)
  environment['ATRIUM_ATTACHMENT_COUNT'] = String(job.attachments.length)
  for (const [index, { path }] of job.attachments.entries()) {
    environment[`ATRIUM_ATTACHMENT_${index + 1}`] = path
  }
  for (const [name, value] of Object.entries(environment)) {
    // A caller chooses the message's ids; execve refuses a NUL, and the whole job with it.
    if (value.includes('\0')) environment[name] = value.replaceAll('\0', '')
  }
  return environment
}

function mayPass(name: string, value: string, credentials: readonly string[]): boolean {
  if (HANDED_DOWN_NAMES.has(name)) return true
  if (WITHHELD_NAMES.has(name)) return false
  if (WITHHELD_PREFIXES.some((prefix) => name.startsWith(prefix))) return false
  return !credentials.some((credential) => value.includes(credential))
}
