/** @module An upload of one generated file whose sender decides when it goes on. */
import type { ClientRequest } from 'node:http'
import { answerTo, writePieces } from './piecewise-request.ts'
import { type Answer, begin } from './raw-client.ts'

const BOUNDARY = 'atrium-multipart-upload-boundary'

export type UploadOptions = {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly fileName: string
  /** Of the file: it decides the declared length, whatever is really sent. */
  readonly size: number
}

export class MultipartUpload {
  readonly request: ClientRequest
  /** Rejects when the connection breaks before there is an answer. */
  readonly answer: Promise<Answer>
  readonly #tail = `\r\n--${BOUNDARY}--\r\n`

  /** Sends the head of the request and of its part. */
  constructor(options: UploadOptions) {
    const head = [
      `--${BOUNDARY}`,
      `Content-Disposition: form-data; name="files"; filename="${options.fileName}"`,
      'Content-Type: application/octet-stream',
      '\r\n',
    ].join('\r\n')
    const length = Buffer.byteLength(head) + options.size + this.#tail.length
    this.request = begin(options.url, {
      method: 'POST',
      headers: {
        ...options.headers,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
        'content-length': String(length),
      },
    })
    this.answer = answerTo(this.request)
    this.request.write(head)
  }

  /** Sends bytes of the file; stops early once there is an answer or no connection any more. */
  async send(pieces: Iterable<Buffer>): Promise<void> {
    await writePieces(this.request, pieces)
  }

  /** Ends the form and resolves with the answer. */
  async finish(): Promise<Answer> {
    this.request.end(this.#tail)
    return this.answer
  }
}
