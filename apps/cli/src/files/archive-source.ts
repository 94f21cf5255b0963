/** @module A folder as an archive: its end is its only success, so nothing of a broken one is kept. */
import { Readable } from 'node:stream'
import { ARCHIVE_FORMATS, type ArchiveFormat } from '@atrium/runtime-contract/file-inspection'
import { CliFailure, EXIT, usageFailure } from '../failure.ts'
import { headerValue, type PlatformAnswer } from '../http/platform-client.ts'
import { withRetries } from '../http/retry.ts'
import { transportFailure } from '../http/transport-failure.ts'
import { filesRoute, type InspectedPlace } from '../platform/inspected-files.ts'
import type { FileSource, SourceContext } from './file-source.ts'

const ENDINGS: readonly (readonly [string, ArchiveFormat])[] = [
  ['.tar', 'tar'],
  ['.tar.gz', 'tar.gz'],
  ['.tgz', 'tar.gz'],
  ['.zip', 'zip'],
]

/** The format that a file name says; undefined when it says none. */
export function formatOfName(name: string): ArchiveFormat | undefined {
  const folded = name.toLowerCase()
  return ENDINGS.find(([ending]) => folded.endsWith(ending))?.[1]
}

/** The format that `--format` says. Throws a usage failure for another. */
export function archiveFormat(text: string): ArchiveFormat {
  const format = ARCHIVE_FORMATS.find((each) => each === text)
  if (format !== undefined) return format
  throw usageFailure(`--format wants one of ${ARCHIVE_FORMATS.join(', ')}`)
}

/** The connection ends an archive that cannot be finished; why is not told on the wire. */
function brokenArchive(thrown: unknown, context: SourceContext): CliFailure {
  const failure = transportFailure(thrown, context.client.origin, context.signal)
  return new CliFailure(EXIT.failed, `the archive is not whole: ${failure.message}`, {
    hint: '`atrium workspaces logs` says why: a limit (ATRIUM_ARCHIVE_MAX_..., docs/configuration.md), or a file that changed',
    cause: thrown,
  })
}

async function* wholeOrBroken(body: Readable, context: SourceContext): AsyncGenerator<Buffer> {
  try {
    yield* body
  } catch (thrown) {
    throw brokenArchive(thrown, context)
  }
}

/** RFC 9112 s6.3: an answer that the end of the connection ends may be cut anywhere, unseen. */
function assertHasEnd(answer: PlatformAnswer): void {
  const isFramed =
    headerValue(answer, 'transfer-encoding') !== undefined ||
    headerValue(answer, 'content-length') !== undefined
  if (isFramed) return
  answer.body.destroy()
  throw new CliFailure(EXIT.failed, 'something in between takes the end off the archive', {
    hint: 'a proxy has to speak HTTP/1.1 to its clients',
  })
}

export function archiveSource(
  context: SourceContext,
  place: InspectedPlace,
  format: ArchiveFormat,
): FileSource {
  const { workspaceId, path } = place
  return {
    workspaceId,
    path,
    isContinuable: false,
    async open() {
      const bearer = await context.credentials.forWorkspace(workspaceId)
      const answer = await withRetries(context, () =>
        context.client.open({
          method: 'GET',
          segments: ['workspaces', workspaceId, ...filesRoute(place), 'archive'],
          query: { path, format },
          bearer,
          headers: { accept: '*/*' },
        }),
      )
      assertHasEnd(answer)
      const body = Readable.from(wholeOrBroken(answer.body, context), { objectMode: false })
      return { startBytes: 0, totalBytes: undefined, etag: undefined, body }
    },
  }
}
