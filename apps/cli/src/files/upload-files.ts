/** @module Uploads local files into a workspace and proves that what was stored is what was sent. */
import type { Ids } from '@atrium/http-kit/clock'
import { z } from 'zod'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformClient } from '../http/platform-client.ts'
import { type RetryContext, withRetries } from '../http/retry.ts'
import type { Credentials } from '../platform/credentials.ts'
import { printableLine } from '../terminal/printable.ts'
import { startProgress } from '../terminal/progress.ts'
import { closeAll, type LocalFile, openLocalFiles } from './local-file.ts'
import { multipartBody } from './multipart-body.ts'

/** Contract/runtime 2.3; `sha256` is absent in servers older than this one. */
const uploadAnswer = z.looseObject({
  files: z.array(
    z.looseObject({
      uri: z.string().min(1),
      name: z.string(),
      mimeType: z.string().default(''),
      size: z.number().int().nonnegative(),
      sha256: z.string().optional(),
    }),
  ),
})

export type UploadedFile = {
  readonly uri: string
  /** Hostile: the workspace chose it. Pass it through `printableLine` before showing it. */
  readonly name: string
  readonly mimeType: string
  readonly size: number
  /** Computed here while sending, and equal to the server's when it sent one. */
  readonly sha256: string
  readonly isVerified: boolean
}

export type UploadContext = RetryContext & {
  readonly client: PlatformClient
  readonly credentials: Credentials
  readonly ids: Ids
  readonly cwd: string
}

/**
 * Sends all files in one request. Throws a usage failure for a file that cannot be read, and a
 * `CliFailure` when the platform refuses or when a size or checksum differs.
 */
export async function uploadFiles(
  context: UploadContext,
  workspaceId: string,
  paths: readonly string[],
): Promise<UploadedFile[]> {
  const files = await openLocalFiles(context.cwd, paths)
  try {
    const bearer = await context.credentials.forWorkspace(workspaceId)
    return await withRetries(context, async () => {
      const body = multipartBody(files, {
        boundary: `atrium-${context.ids.hex(24)}`,
        onProgress: (bytes) => progress.update(bytes),
      })
      const progress = startProgress(context.terminal, uploadLabel(files), totalBytes(files))
      try {
        const answer = await context.client.upload(
          { segments: ['workspaces', workspaceId, 'chat', 'uploads'], bearer },
          body,
        )
        return checkAnswer(files, body.digests, answer)
      } finally {
        progress.stop()
      }
    })
  } finally {
    await closeAll(files)
  }
}

function totalBytes(files: readonly LocalFile[]): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0)
}

function uploadLabel(files: readonly LocalFile[]): string {
  const [first] = files
  return files.length === 1 && first !== undefined ? first.name : `${files.length} files`
}

function checkAnswer(
  files: readonly LocalFile[],
  digests: readonly string[],
  answer: unknown,
): UploadedFile[] {
  const parsed = uploadAnswer.safeParse(answer)
  if (!parsed.success || parsed.data.files.length !== files.length) {
    throw new CliFailure(EXIT.failed, 'the answer does not name the files that were sent')
  }
  return parsed.data.files.map((stored, index) => {
    const label = printableLine(files[index]?.name ?? '')
    const sha256 = digests[index] ?? ''
    if (stored.size !== files[index]?.sizeBytes) {
      throw new CliFailure(EXIT.failed, `${label}: ${stored.size} bytes were stored, not all of it`)
    }
    if (stored.sha256 !== undefined && stored.sha256 !== sha256) {
      throw new CliFailure(EXIT.failed, `${label}: the stored file has another checksum`)
    }
    return {
      uri: stored.uri,
      name: stored.name,
      mimeType: stored.mimeType,
      size: stored.size,
      sha256,
      isVerified: stored.sha256 !== undefined,
    }
  })
}
