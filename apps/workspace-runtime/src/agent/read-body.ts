/** @module A request body in memory, up to a limit. */
import type { IncomingMessage } from 'node:http'

/**
 * The whole body, or undefined when it is longer than `maxBytes`; the rest of a body that is too
 * long is thrown away as it arrives, so that the client can read the answer. Rejects when the
 * client breaks off.
 */
export function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
  const declared = Number(incoming.headers['content-length'] ?? 0)
  const pieces: Buffer[] = []
  let total = 0
  const onData = (piece: Buffer): void => {
    total += piece.length
    if (total <= maxBytes) pieces.push(piece)
    else tooLong()
  }
  const tooLong = (): void => {
    incoming.off('data', onData)
    pieces.length = 0
    incoming.resume()
    resolve(undefined)
  }
  incoming.once('end', () => resolve(Buffer.concat(pieces)))
  incoming.once('error', reject)
  incoming.once('close', () => reject(new Error('the client broke off')))
  if (declared > maxBytes) tooLong()
  else incoming.on('data', onData)
  return promise
}
