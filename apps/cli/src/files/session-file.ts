/**
 * @module A file in a session's folder, for transfers: it comes as windows of at most 8 MiB in JSON,
 * because a job-control host has no other way. Together they are one state of the file, or an error.
 */
import { Readable } from 'node:stream'
import { CliFailure, EXIT } from '../failure.ts'
import {
  type ContentWindow,
  type InspectContext,
  type InspectedPlace,
  readContent,
} from '../platform/inspected-files.ts'
import type { FileSource, ResumePoint } from './file-source.ts'

/** Throws when `window` is not the one that begins at `offset` in the file that `first` is of. */
function assertBelongs(window: ContentWindow, first: ContentWindow, offset: number): void {
  if (window.version !== first.version || window.size !== first.size) {
    throw new CliFailure(EXIT.failed, 'the file changed while it was read', {
      hint: 'try again; what is written all the time is shown by `atrium files cat --tail`',
    })
  }
  const end = window.offset + window.bytes.length
  const isWindow = window.offset === offset && end <= window.size
  if (isWindow && (window.bytes.length > 0 || end === window.size)) return
  throw new CliFailure(EXIT.failed, 'the workspace answered with another window than asked for')
}

async function* bytesFrom(
  context: InspectContext,
  place: InspectedPlace,
  first: ContentWindow,
): AsyncGenerator<Buffer> {
  let window = first
  for (;;) {
    yield window.bytes
    const end = window.offset + window.bytes.length
    if (end >= first.size) return
    window = await readContent(context, place, end)
    assertBelongs(window, first, end)
  }
}

/** Where a transfer begins: where one broke, unless the file is another one now. */
async function firstWindow(
  context: InspectContext,
  place: InspectedPlace,
  resume: ResumePoint,
): Promise<ContentWindow> {
  if (resume.offsetBytes > 0 && resume.etag !== undefined) {
    const window = await readContent(context, place, resume.offsetBytes)
    if (window.version === resume.etag) return window
  }
  return await readContent(context, place, 0)
}

export function sessionFile(context: InspectContext, place: InspectedPlace): FileSource {
  return {
    workspaceId: place.workspaceId,
    path: `~/workspace/${place.session}/${place.path}`,
    isContinuable: true,
    async open(resume) {
      const first = await firstWindow(context, place, resume)
      assertBelongs(first, first, first.offset === 0 ? 0 : resume.offsetBytes)
      return {
        startBytes: first.offset,
        totalBytes: first.size,
        etag: first.version,
        body: Readable.from(bytesFrom(context, place, first), { objectMode: false }),
      }
    },
  }
}
