/** @module A JSON answer on the raw exchange, with the headers of everything that tells of files. */
import type { ServerResponse } from 'node:http'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'

export function answerJson(outgoing: ServerResponse, value: object): void {
  const body = Buffer.from(JSON.stringify(value))
  outgoing.writeHead(200, {
    ...FILE_SECURITY_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  })
  // Node sends no body in answer to HEAD.
  outgoing.end(body)
}
