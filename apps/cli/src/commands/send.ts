/** @module `atrium send`: one message with files to an agent, its answer and its files back. */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { safeFileName } from '@atrium/path-safety/file-name'
import { type FileReference, nameInPath, workspacePathOf } from '../a2a/file-part.ts'
import type { Reply } from '../a2a/reply.ts'
import type { CommandContext } from '../command-context.ts'
import { CliFailure, describeThrown, EXIT, usageFailure } from '../failure.ts'
import { type DownloadedFile, type DownloadTarget, downloadToFile } from '../files/download-file.ts'
import { CHAT_DOWNLOAD, type FileSource, streamedFile } from '../files/file-source.ts'
import { type UploadedFile, uploadFiles } from '../files/upload-files.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { printableLine } from '../terminal/printable.ts'
import { formatBytes } from '../terminal/table.ts'
import { askAgent, QUEUED } from './ask-agent.ts'
import { shellWord } from './shell-word.ts'
import { uploadedJson } from './upload.ts'

export type SendOptions = {
  readonly file: readonly string[]
  readonly out?: string
  readonly stream: boolean
  readonly context?: string
}

type SavedFile = {
  readonly reference: FileReference
  readonly saved: DownloadedFile | undefined
  /** Why it could not be saved, when that was asked for. */
  readonly failure?: CliFailure
}

/** Uploads, sends, prints the answer, and saves or lists the files that came with it. */
export async function sendCommand(
  context: CommandContext,
  message: { readonly workspace: string; readonly text: string | undefined },
  options: SendOptions,
): Promise<void> {
  const text = message.text === '-' ? await context.readStdin() : (message.text ?? '')
  if (text.trim() === '' && options.file.length === 0) {
    throw usageFailure('there is nothing to send: give a text, a --file, or both')
  }
  const outDir = await prepareOutDir(context, options.out)
  const workspaceId = await resolveWorkspaceId(context, message.workspace)
  const uploaded = await sendFiles(context, workspaceId, options.file)
  const reply = await askAgent(context, {
    workspaceId,
    text,
    files: uploaded,
    contextId: options.context,
    isStreaming: options.stream,
  })
  const files = await collectFiles(context, { workspaceId, outDir, references: reply.files })
  report(context, { workspaceId, reply, uploaded, files, isStreaming: options.stream })
  if (reply.isFailure) {
    throw new CliFailure(EXIT.failed, `the agent's task is ${printableLine(reply.state)}`, {
      hop: 'workspace',
      hint: `atrium workspaces logs ${workspaceId}`,
    })
  }
  for (const { failure } of files) if (failure !== undefined) throw failure
}

/** Before anything is sent: an answer that cannot be saved would be work done for nothing. */
async function prepareOutDir(
  context: CommandContext,
  out: string | undefined,
): Promise<string | undefined> {
  if (out === undefined) return undefined
  const directory = resolve(context.cwd, out)
  try {
    await mkdir(directory, { recursive: true })
  } catch (thrown) {
    throw usageFailure(`cannot use ${out} as a folder: ${describeThrown(thrown)}`)
  }
  return directory
}

async function sendFiles(
  context: CommandContext,
  workspaceId: string,
  paths: readonly string[],
): Promise<UploadedFile[]> {
  if (paths.length === 0) return []
  const uploaded = await uploadFiles(context, workspaceId, paths)
  for (const file of uploaded) {
    const check = file.isVerified ? 'checksum equal' : 'no checksum from the platform'
    context.terminal.notice(`sent ${file.name} (${formatBytes(file.size)}, ${check})`)
  }
  return uploaded
}

type Collect = {
  readonly workspaceId: string
  readonly outDir: string | undefined
  readonly references: readonly FileReference[]
}

async function collectFiles(context: CommandContext, wanted: Collect): Promise<SavedFile[]> {
  const files: SavedFile[] = []
  for (const reference of wanted.references) {
    const path = workspacePathOf(reference.uri)
    if (path === undefined || wanted.outDir === undefined) {
      files.push({ reference, saved: undefined })
      continue
    }
    // Both names are the workspace's words: a path, a device name or an option in there is inert.
    const name = safeFileName(reference.name === '' ? nameInPath(path) : reference.name)
    const file = { workspaceId: wanted.workspaceId, path, route: CHAT_DOWNLOAD }
    const target = { path: join(wanted.outDir, name), mode: 'number', label: name } as const
    files.push({ reference, ...(await saveFile(context, streamedFile(context, file), target)) })
  }
  return files
}

/** An agent may name a file that is not there: its words and its other files are kept all the same. */
async function saveFile(
  context: CommandContext,
  source: FileSource,
  target: DownloadTarget,
): Promise<Omit<SavedFile, 'reference'>> {
  try {
    return { saved: await downloadToFile(context, source, target) }
  } catch (thrown) {
    if (context.signal.aborted || !(thrown instanceof CliFailure)) throw thrown
    return { saved: undefined, failure: thrown }
  }
}

type SendReport = {
  readonly workspaceId: string
  readonly reply: Reply
  readonly uploaded: readonly UploadedFile[]
  readonly files: readonly SavedFile[]
  readonly isStreaming: boolean
}

function report(context: CommandContext, { reply, ...result }: SendReport): void {
  const document = {
    workspace_id: result.workspaceId,
    state: reply.state,
    text: reply.text,
    task_id: reply.taskId ?? null,
    context_id: reply.contextId ?? null,
    uploaded: result.uploaded.map(uploadedJson),
    files: result.files.map(({ reference, saved, failure }) => ({
      ...reference,
      saved_as: saved?.path ?? null,
      size: saved?.size ?? null,
      sha256: saved?.sha256 ?? null,
      error: failure?.message ?? null,
    })),
  }
  if (result.isStreaming) context.terminal.jsonLine({ type: 'result', ...document })
  else context.terminal.json(document)
  for (const file of result.files) context.terminal.line(fileLine(result.workspaceId, file))
  if (reply.state === QUEUED) {
    context.terminal.notice('queued: the agent fetches its messages and answers when it has')
  } else if (!reply.isTerminal) {
    const task = reply.taskId === undefined ? '' : ` (task ${reply.taskId})`
    context.terminal.notice(`the agent has not finished: ${reply.state}${task}`)
  }
}

function fileLine(workspaceId: string, { reference, saved, failure }: SavedFile): string {
  if (saved !== undefined) {
    return `saved ${saved.path}  ${formatBytes(saved.size)}, sha256 ${saved.sha256}`
  }
  const name = printableLine(reference.name)
  const uri = printableLine(reference.uri)
  if (workspacePathOf(reference.uri) === undefined) return `link ${name}  ${uri}`
  if (failure !== undefined) return `file ${name}  could not be saved: ${failure.message}`
  return `file ${name}  get it with: atrium download ${workspaceId} ${shellWord(uri)}`
}
