/** @module `atrium upload`. */
import type { CommandContext } from '../command-context.ts'
import { type UploadedFile, uploadFiles } from '../files/upload-files.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { printableLine } from '../terminal/printable.ts'
import { formatBytes } from '../terminal/table.ts'

/** What `--json` says about one stored file. */
export function uploadedJson(file: UploadedFile) {
  return {
    uri: file.uri,
    name: file.name,
    mimeType: file.mimeType,
    size: file.size,
    sha256: file.sha256,
    verified: file.isVerified,
  }
}

/** Uploads files and prints where they are now. */
export async function uploadCommand(
  context: CommandContext,
  reference: string,
  paths: readonly string[],
): Promise<void> {
  const workspaceId = await resolveWorkspaceId(context, reference)
  const stored = await uploadFiles(context, workspaceId, paths)
  context.terminal.json({ workspace_id: workspaceId, files: stored.map(uploadedJson) })
  for (const file of stored) {
    const check = file.isVerified ? 'checksum equal' : 'the platform sent no checksum'
    context.terminal.line(
      `${printableLine(file.uri)}  ${formatBytes(file.size)}, sha256 ${file.sha256} (${check})`,
    )
  }
}
