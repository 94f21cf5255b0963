/** @module `atrium download`. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { safeFileName } from '@atrium/path-safety/file-name'
import { nameInPath, workspacePathOf } from '../a2a/file-part.ts'
import type { CommandContext } from '../command-context.ts'
import { usageFailure } from '../failure.ts'
import { type DownloadTarget, downloadToFile, downloadToStream } from '../files/download-file.ts'
import { existsFailure } from '../files/publish-download.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { formatBytes } from '../terminal/table.ts'

export type DownloadOptions = { readonly output?: string; readonly force: boolean }

/** What the command line names: a workspace, and a path or uri in it. */
export type RemoteFile = { readonly workspace: string; readonly uriOrPath: string }

/** `directory`, `other` (a file, a device, anything) or `absent`. */
async function kindOf(path: string): Promise<'directory' | 'other' | 'absent'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other'
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return 'absent'
    throw usageFailure(`cannot use ${path} as the output`)
  }
}

/**
 * Where the file goes. A name that the user typed is taken literally and never overwritten without
 * `--force`; a name that comes from the workspace is made harmless and numbered instead.
 */
async function chooseTarget(
  context: CommandContext,
  path: string,
  options: DownloadOptions,
): Promise<DownloadTarget> {
  const offeredName = safeFileName(nameInPath(path))
  if (options.output === undefined) {
    return { path: join(context.cwd, offeredName), mode: 'number', label: offeredName }
  }
  const wanted = resolve(context.cwd, options.output)
  const kind = await kindOf(wanted)
  if (kind === 'directory') {
    return { path: join(wanted, offeredName), mode: 'number', label: offeredName }
  }
  if (kind === 'other' && !options.force) throw existsFailure(options.output)
  return { path: wanted, mode: options.force ? 'replace' : 'refuse', label: options.output }
}

/** Downloads one file, to a file or to standard output. */
export async function downloadCommand(
  context: CommandContext,
  file: RemoteFile,
  options: DownloadOptions,
): Promise<void> {
  const path = workspacePathOf(file.uriOrPath)
  if (path === undefined) {
    throw usageFailure(
      'the path must be absolute, such as /workspace/report.md, or a workspace: uri',
    )
  }
  const { terminal } = context
  if (options.output === '-' && (terminal.stdout.isTTY === true || terminal.isJson)) {
    throw usageFailure(
      terminal.isJson
        ? '-o - and --json both want standard output'
        : 'a file may contain control sequences: pipe it somewhere, or use -o FILE',
    )
  }
  const workspaceId = await resolveWorkspaceId(context, file.workspace)
  const source = { workspaceId, path }
  if (options.output === '-') {
    await downloadToStream(context, source, terminal.stdout)
    return
  }
  const saved = await downloadToFile(context, source, await chooseTarget(context, path, options))
  terminal.json({
    workspace_id: workspaceId,
    path,
    saved_as: saved.path,
    size: saved.size,
    sha256: saved.sha256,
    resumed_from: saved.resumedFromBytes,
  })
  const resumed =
    saved.resumedFromBytes === 0 ? '' : `, resumed at ${formatBytes(saved.resumedFromBytes)}`
  terminal.line(`${saved.path}  ${formatBytes(saved.size)}, sha256 ${saved.sha256}${resumed}`)
}
