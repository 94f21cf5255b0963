/** @module The ways in which a control plane goes wrong. */
import type { IncomingMessage, ServerResponse } from 'node:http'

export type Fault =
  /** This status with this body; nothing else happens. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: unknown }
  | { readonly kind: 'redirect'; readonly location: string }
  /** A page, as a proxy in between has it. */
  | { readonly kind: 'html' }
  | { readonly kind: 'raw'; readonly status: number; readonly text: string }
  /** Not HTTP at all. */
  | { readonly kind: 'garbage' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' }
  /** A head, and then one byte now and then. */
  | { readonly kind: 'trickle' }
  | { readonly kind: 'oversized'; readonly bytes: number }
  /** The real thing is done, and its answer never arrives. */
  | { readonly kind: 'done-then-reset' }
  | { readonly kind: 'done-then-hang' }
  | { readonly kind: 'done-then-raw'; readonly status: number; readonly text: string }

export function isBeforeEffect(fault: Fault): boolean {
  return !fault.kind.startsWith('done-')
}

/** Answers as the fault says. */
export function brokenAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
): void {
  const type = { 'content-type': 'application/json' }
  switch (fault.kind) {
    case 'status':
      response.writeHead(fault.status, type).end(JSON.stringify(fault.body ?? { error: 'refused' }))
      return
    case 'redirect':
      response.writeHead(307, { location: fault.location }).end()
      return
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>')
      return
    case 'raw':
    case 'done-then-raw':
      response.writeHead(fault.status, type).end(fault.text)
      return
    case 'garbage':
      request.socket.end('SSH-2.0-OpenSSH_9.9\r\n')
      return
    case 'reset':
    case 'done-then-reset':
      request.socket.resetAndDestroy()
      return
    case 'hang':
    case 'done-then-hang':
      return
    case 'trickle':
      trickle(response)
      return
    case 'oversized':
      response.writeHead(201, type).end(`{"error":"${'x'.repeat(fault.bytes)}"}`)
      return
  }
}

function trickle(response: ServerResponse): void {
  response.writeHead(201, { 'content-type': 'application/json' })
  response.write('{"instance_id":"')
  const timer = setInterval(() => response.write('x'), 50)
  response.once('close', () => clearInterval(timer))
}
