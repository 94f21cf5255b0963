/** @module Multipart bodies that no client would send, made and sent piece by piece. */
import { answerTo, writePieces } from './piecewise-request.ts'
import { type Answer, begin } from './raw-client.ts'

const MIB = 1024 ** 2
export const BOUNDARY = 'atrium-form-body-boundary'

export type Part = {
  readonly name?: string
  readonly fileName?: string
  readonly bytes: number | string
}

/** Pieces of a form; a number of bytes becomes that many zeros, made on the way. */
export function* form(parts: readonly Part[]): Generator<Buffer | string, void, undefined> {
  for (const { name = 'files', fileName, bytes } of parts) {
    const file = fileName === undefined ? '' : `; filename="${fileName}"`
    yield `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`
    if (typeof bytes === 'string') yield bytes
    else for (let left = bytes; left > 0; left -= MIB) yield Buffer.alloc(Math.min(left, MIB))
    yield '\r\n'
  }
  yield `--${BOUNDARY}--\r\n`
}

/** A chunked body, sent as fast as it is taken; what nobody takes any more is not sent. */
export async function postForm(
  target: { readonly url: URL; readonly headers: Readonly<Record<string, string>> },
  pieces: Iterable<Buffer | string>,
): Promise<Answer> {
  const request = begin(target.url, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...target.headers },
  })
  const answer = answerTo(request)
  await writePieces(request, pieces)
  request.end()
  return answer
}
