/** @module `atrium download`. */
import { nameInPath, workspacePathOf } from '../a2a/file-part.ts'
import type { CommandContext } from '../command-context.ts'
import { usageFailure } from '../failure.ts'
import { type DownloadedFile, downloadToFile, downloadToStream } from '../files/download-file.ts'
import { chooseTarget, isToStdout, type OutputOptions } from '../files/download-target.ts'
import { CHAT_DOWNLOAD, type FileSource, streamedFile } from '../files/file-source.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { formatBytes } from '../terminal/table.ts'

/** What the command line names: a workspace, and a path or uri in it. */
export type RemoteFile = { readonly workspace: string; readonly uriOrPath: string }

/** Downloads one file, to a file or to standard output. */
export async function downloadCommand(
  context: CommandContext,
  file: RemoteFile,
  options: OutputOptions,
): Promise<void> {
  const path = workspacePathOf(file.uriOrPath)
  if (path === undefined) {
    throw usageFailure(
      'the path must be absolute, such as /workspace/report.md, or a workspace: uri',
    )
  }
  const isStreamed = isToStdout(options, context.terminal)
  const workspaceId = await resolveWorkspaceId(context, file.workspace)
  const source = streamedFile(context, { workspaceId, path, route: CHAT_DOWNLOAD })
  if (isStreamed) {
    await downloadToStream(context, source, context.terminal.stdout)
    return
  }
  const target = await chooseTarget(context.cwd, nameInPath(path), options)
  saySaved(context, source, await downloadToFile(context, source, target))
}

/** What a transfer into a file ends with. */
export function saySaved(
  { terminal }: CommandContext,
  source: FileSource,
  saved: DownloadedFile,
): void {
  terminal.json({
    workspace_id: source.workspaceId,
    path: source.path,
    saved_as: saved.path,
    size: saved.size,
    sha256: saved.sha256,
    resumed_from: saved.resumedFromBytes,
  })
  const resumed =
    saved.resumedFromBytes === 0 ? '' : `, resumed at ${formatBytes(saved.resumedFromBytes)}`
  terminal.line(`${saved.path}  ${formatBytes(saved.size)}, sha256 ${saved.sha256}${resumed}`)
}
