/**
 * @module A runtime's answer to the client, one slice at a time (design/performance 1, point 2).
 * The next slice is read only when every byte of the last one was flushed to the client: memory is
 * one slice, and no slice is overwritten while somebody still needs it.
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import { BypassedBody } from './bypassed-body.ts'
import { OnreadSocket } from './onread-agent.ts'
import { ParsedBody } from './parsed-body.ts'

export type BodyRelay = {
  /** Bytes handed to the client's connection so far. */
  readonly bytes: number
  /** Whether it is the client that everybody is waiting for. */
  readonly isBlockedByClient: boolean
  /** Whether all of the body has arrived here. */
  readonly isComplete: boolean
  /**
   * Moves the body and resolves when its last byte was flushed; `outgoing` is not ended. Rejects
   * when either side breaks off. `progressed` is called for every slice in and out.
   */
  move(progressed: () => void): Promise<void>
}

const HAS_LENGTH = /\r\ncontent-length:/i
const HAS_CODING = /\r\ntransfer-encoding:/i

/**
 * Prepares a connection for the answer to `upstream`. Node's parser copies every byte of a body, so
 * one of known length passes it by: the parser still judges the head, and takes the message for one
 * without a body, as it does for the answer to a HEAD.
 */
export function prepareConnection(upstream: ClientRequest, socket: OnreadSocket): void {
  const { method } = upstream
  socket.holdWhile(() => false)
  socket.awaitHead((head) => {
    upstream.method = HAS_LENGTH.test(head) && !HAS_CODING.test(head) ? 'HEAD' : method
  })
}

/**
 * The way of this answer's body. Must be called in the 'response' event itself, when the first
 * byte of the body has not been looked at; `method` is the request's own. Throws
 * `workspace_invalid_response` when the parser read another framing than `prepareConnection`.
 */
export function relayFor(
  upstream: ClientRequest,
  response: IncomingMessage,
  to: { readonly outgoing: ServerResponse; readonly method: string },
): BodyRelay {
  const { socket, headers, statusCode } = response
  const isBypassed = upstream.method !== to.method
  const hasBody = statusCode !== 204 && statusCode !== 304
  if (!isBypassed || !hasBody || !(socket instanceof OnreadSocket)) {
    return new ParsedBody(response, to.outgoing)
  }
  const length = Number(headers['content-length'])
  if (!Number.isSafeInteger(length) || headers['transfer-encoding'] !== undefined) {
    throw new AppError('workspace_invalid_response', { internal: 'ambiguous framing' })
  }
  return new BypassedBody({ source: response, socket, outgoing: to.outgoing, length })
}
