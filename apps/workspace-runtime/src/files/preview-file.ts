/**
 * @module A window of an opened file as text (contract/runtime 20.6). Positional reads from the
 * descriptor that was judged; the file may be a log that is written on, or cut, meanwhile.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { FilePreview } from '@atrium/runtime-contract/file-inspection'
import type { ByteWindow } from '@atrium/runtime-contract/inspection-query'
import {
  type AskedWindow,
  askedWindow,
  filePreview,
  SIGNATURE_BYTES,
  spanAround,
  type WindowBytes,
} from '@atrium/runtime-contract/preview-text'
import { readAt, statOf } from './descriptor.ts'
import type { OpenedFile } from './open-contained-file.ts'
import { versionOf } from './validators.ts'

export type PreviewAsked = {
  /** What the answer repeats. */
  readonly path: string
  readonly window: ByteWindow
}

/** A file that does not hold still for one read out of so many is one that is written all the time. */
const MAX_LOOKS = 3

/**
 * Throws `stat_failed` when the file cannot be read, or the signal's reason. Never because it
 * changes: then the answer is of what was there, and its `version` is that of no other answer.
 */
export async function previewFile(
  file: OpenedFile,
  { path, window }: PreviewAsked,
  signal: AbortSignal,
): Promise<FilePreview> {
  for (let look = 1; ; look += 1) {
    signal.throwIfAborted()
    const { read, asked, version } = await readWindow(file, window)
    if (version.isSettled || look === MAX_LOOKS) {
      return filePreview({ path, version: version.text }, read, asked)
    }
  }
}

type Look = {
  readonly read: WindowBytes
  readonly asked: AskedWindow
  readonly version: { readonly text: string; readonly isSettled: boolean }
}

async function readWindow(file: OpenedFile, window: ByteWindow): Promise<Look> {
  try {
    const before = statOf(file.fd)
    const asked = askedWindow(window, Number(before.size))
    const read = await readAround(file.fd, asked, Number(before.size))
    const [was, is] = [before, statOf(file.fd)].map(versionOf)
    const isSettled = was === is
    return { read, asked, version: { isSettled, text: isSettled ? `${is}` : `${was}~${is}` } }
  } catch (cause) {
    throw new AppError('stat_failed', { cause })
  }
}

/** The window with a character on either side, as far as the file goes. */
async function readAround(fd: number, asked: AskedWindow, size: number): Promise<WindowBytes> {
  const signature = Buffer.alloc(SIGNATURE_BYTES)
  const signatureLength = await readAt(fd, signature, 0)
  const { position, end } = spanAround(asked, size)
  const bytes = Buffer.allocUnsafeSlow(end - position)
  const length = await readAt(fd, bytes, position)
  return {
    bytes: bytes.subarray(0, length),
    position,
    signature: signature.subarray(0, signatureLength),
    // A file that was cut in between ends where reading did.
    fileSize: length < bytes.length ? position + length : size,
  }
}
