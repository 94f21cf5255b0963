/** @module Where the bytes of a transfer come from: one shape for every route that has some. */
import type { Readable } from 'node:stream'
import { CliFailure, EXIT } from '../failure.ts'
import { headerValue, type PlatformAnswer, type PlatformClient } from '../http/platform-client.ts'
import { type RetryContext, withRetries } from '../http/retry.ts'
import type { Credentials } from '../platform/credentials.ts'

export type SourceContext = RetryContext & {
  readonly client: PlatformClient
  readonly credentials: Credentials
}

/** What is there of a transfer already; 0 starts from nothing. */
export type ResumePoint = { readonly offsetBytes: number; readonly etag: string | undefined }

export type OpenedSource = {
  /** Where `body` begins: the point that was asked for, or 0 when the file is another one now. */
  readonly startBytes: number
  /** Undefined when nobody knows before the end. */
  readonly totalBytes: number | undefined
  /** What tells this state of the file from others; undefined when a transfer cannot be continued. */
  readonly etag: string | undefined
  readonly body: Readable
}

export type FileSource = {
  readonly workspaceId: string
  /** Where it is in the workspace, as the record of an unfinished transfer has it. */
  readonly path: string
  /** Whether a transfer that broke goes on where it ended; otherwise nothing of it is kept. */
  readonly isContinuable: boolean
  /** Throws a `CliFailure` before the first byte; afterwards `body` fails. */
  readonly open: (resume: ResumePoint) => Promise<OpenedSource>
}

/** RFC 9110 s14.4: the first byte and the full length of a 206 answer. */
function contentRange(answer: PlatformAnswer): { readonly from: number; readonly total: number } {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headerValue(answer, 'content-range') ?? '')
  if (match === null) throw new CliFailure(EXIT.failed, 'the answer names no usable byte range')
  return { from: Number(match[1]), total: Number(match[3]) }
}

function declaredLength(answer: PlatformAnswer): number | undefined {
  const text = headerValue(answer, 'content-length')
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function openedSource(answer: PlatformAnswer, resume: ResumePoint): OpenedSource {
  const range = answer.status === 206 ? contentRange(answer) : undefined
  if (range !== undefined && range.from !== resume.offsetBytes) {
    throw new CliFailure(EXIT.failed, 'the platform answered with another range than asked for')
  }
  return {
    startBytes: range?.from ?? 0,
    totalBytes: range?.total ?? declaredLength(answer),
    etag: headerValue(answer, 'etag'),
    body: answer.body,
  }
}

/** A file that is wanted, and the route below its workspace that streams it. */
export type StreamedFile = {
  readonly workspaceId: string
  readonly path: string
  readonly route: readonly string[]
}

/** The route of a file in a message. */
export const CHAT_DOWNLOAD = ['chat', 'download'] as const

/** A file on a route that knows ranges: continued when the validator still matches. */
export function streamedFile(context: SourceContext, file: StreamedFile): FileSource {
  const { workspaceId, path, route } = file
  const request = async (resume: ResumePoint): Promise<OpenedSource> => {
    const bearer = await context.credentials.forWorkspace(workspaceId)
    const headers: Record<string, string> = { accept: '*/*' }
    if (resume.offsetBytes > 0 && resume.etag !== undefined) {
      headers['range'] = `bytes=${resume.offsetBytes}-`
      // RFC 9110 s13.1.5: all of it, when it is not what the first half was taken from.
      headers['if-range'] = resume.etag
    }
    const segments = ['workspaces', workspaceId, ...route]
    const answer = await withRetries(context, () =>
      context.client.open({ method: 'GET', segments, query: { path }, bearer, headers }),
    )
    return openedSource(answer, resume)
  }
  return {
    workspaceId,
    path,
    isContinuable: true,
    async open(resume) {
      try {
        return await request(resume)
      } catch (thrown) {
        // A 416 means that the part is not the beginning of what is there now: start from nothing.
        if (!(thrown instanceof CliFailure) || thrown.facts.status !== 416) throw thrown
        return await request({ offsetBytes: 0, etag: undefined })
      }
    },
  }
}
