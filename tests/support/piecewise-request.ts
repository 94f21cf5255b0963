/** @module A request whose body is written piece by piece, held back by the connection. */
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { type Answer, readAnswer } from './raw-client.ts'

/** Resolves with the whole answer; rejects when the connection breaks before there is one. */
export function answerTo(request: ClientRequest): Promise<Answer> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.on('error', reject)
  }).then(readAnswer)
  // Whoever waits for it is told; a test that cuts the connection itself does not wait.
  answer.catch(() => undefined)
  return answer
}

/** Writes the pieces; stops early once there is an answer or no connection any more. */
export async function writePieces(
  request: ClientRequest,
  pieces: Iterable<Buffer | string>,
): Promise<void> {
  const isOver = { value: false }
  request.once('response', () => {
    isOver.value = true
  })
  for (const piece of pieces) {
    if (isOver.value || request.destroyed) return
    if (!request.write(piece)) await oneOf(request, ['drain', 'response', 'close'])
  }
}

async function oneOf(request: ClientRequest, events: readonly string[]): Promise<void> {
  const enough = new AbortController()
  const waits = events.map((event) => once(request, event, { signal: enough.signal }))
  try {
    await Promise.race(waits)
  } finally {
    enough.abort()
    await Promise.allSettled(waits)
  }
}
