/** @module A JSON answer on the raw exchange, with the headers of everything that tells of files. */
import type { ServerResponse } from 'node:http'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { ClientWatch } from '../../files/client-watch.ts'

/** A socket takes so much at once; a smaller answer is no burden that anybody waits for. */
const PIECE_BYTES = 64 * 1024

/**
 * Resolves when a large answer is with the kernel. Rejects, with the response not ended, when
 * the client is gone or takes nothing of it for so long: until then all of it is held.
 */
export async function answerJson(
  { incoming, outgoing, signal }: RawExchange,
  value: object,
  idleTimeoutMs: number,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(value))
  outgoing.writeHead(200, {
    ...FILE_SECURITY_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  })
  if (incoming.method === 'HEAD' || body.length <= PIECE_BYTES) {
    // Node sends no body in answer to HEAD.
    outgoing.end(body)
    return
  }
  const watch = new ClientWatch(signal, idleTimeoutMs)
  try {
    for (let start = 0; start < body.length; start += PIECE_BYTES) {
      await watch.breaking.wait(written(outgoing, body.subarray(start, start + PIECE_BYTES)))
      watch.progress()
    }
  } finally {
    watch.stop()
  }
  outgoing.end()
}

/** Resolves when the kernel has taken the bytes. */
function written(outgoing: ServerResponse, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  outgoing.write(bytes, (error) => {
    if (error == null) resolve()
    else reject(error)
  })
  return promise
}
