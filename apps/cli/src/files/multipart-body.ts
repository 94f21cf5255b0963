/**
 * @module A multipart/form-data body (RFC 7578) of known length that is never held in memory: the
 * framing is computed from names and sizes, the files pass through two reused buffers.
 */
import { createHash } from 'node:crypto'
import { FILES_FIELD } from '@atrium/runtime-contract/file-transfer'
import type { UploadBody } from '../http/platform-client.ts'
import type { LocalFile } from './local-file.ts'
import { mediaTypeFor } from './media-type.ts'

const BUFFER_BYTES = 512 * 1024
const LINE_END = Buffer.from('\r\n')

/**
 * A quoted parameter value as browsers write it (WHATWG HTML, "multipart/form-data encoding"):
 * UTF-8 as it is, and percent-escapes for the three characters that would end the header.
 */
export function quotedFileName(name: string): string {
  const escaped = name
    .toWellFormed()
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')
    .replaceAll('"', '%22')
  return `"${escaped}"`
}

function partHeader(boundary: string, name: string): Buffer {
  return Buffer.from(
    `--${boundary}\r\n` +
      `Content-Disposition: form-data; name="${FILES_FIELD}"; filename=${quotedFileName(name)}\r\n` +
      `Content-Type: ${mediaTypeFor(name)}\r\n\r\n`,
    'utf8',
  )
}

export type MultipartBody = UploadBody & {
  /** SHA-256 of each file in order, lower-case hex; complete once `chunks` has ended. */
  readonly digests: readonly string[]
}

export type MultipartOptions = {
  /** 1 to 70 characters that occur in no file: take it from a random source (RFC 2046 5.1.1). */
  readonly boundary: string
  /** Called with the number of file bytes handed out so far, over all files. */
  readonly onProgress: (bytes: number) => void
}

/**
 * The body of one upload. `chunks` can be consumed once, and the consumer may keep one chunk while
 * it takes the next: two buffers alternate. It throws when a file changes underneath it, before the
 * last bytes of that file are handed out, so that a server never sees a complete body of a file
 * that was half old and half new.
 */
export function multipartBody(
  files: readonly LocalFile[],
  options: MultipartOptions,
): MultipartBody {
  const { boundary } = options
  const headers = files.map((file) => partHeader(boundary, file.name))
  const closing = Buffer.from(`--${boundary}--\r\n`, 'utf8')
  const digests: string[] = []
  let contentLength = closing.length
  files.forEach((file, index) => {
    contentLength += (headers[index]?.length ?? 0) + file.sizeBytes + LINE_END.length
  })
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength,
    digests,
    chunks: encode(),
  }

  async function* encode(): AsyncGenerator<Uint8Array> {
    const buffers = new AlternatingBuffers()
    let sentBytes = 0
    for (const [index, file] of files.entries()) {
      yield headers[index] ?? LINE_END
      const hash = createHash('sha256')
      for await (const chunk of contentOf(file, buffers)) {
        hash.update(chunk)
        sentBytes += chunk.length
        yield chunk
        options.onProgress(sentBytes)
      }
      digests.push(hash.digest('hex'))
      yield LINE_END
    }
    yield closing
  }
}

class AlternatingBuffers {
  readonly #buffers = [Buffer.allocUnsafeSlow(BUFFER_BYTES), Buffer.allocUnsafeSlow(BUFFER_BYTES)]
  #turn = 0

  next(): Buffer {
    this.#turn = 1 - this.#turn
    return this.#buffers[this.#turn] ?? Buffer.alloc(0)
  }
}

async function* contentOf(file: LocalFile, buffers: AlternatingBuffers): AsyncGenerator<Buffer> {
  let position = 0
  while (position < file.sizeBytes) {
    const buffer = buffers.next()
    const wanted = Math.min(buffer.length, file.sizeBytes - position)
    const { bytesRead } = await file.handle.read(buffer, 0, wanted, position)
    position += bytesRead
    if (bytesRead === 0 || position === file.sizeBytes) await file.assertUnchanged()
    if (bytesRead === 0) throw new Error('a file ended before its size')
    yield buffer.subarray(0, bytesRead)
  }
}
