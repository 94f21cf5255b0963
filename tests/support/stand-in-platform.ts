/** @module A real HTTP server that answers as a test tells it: for what a real platform never does. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StandInExchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  /** `GET /workspaces`, for switching on. */
  readonly line: string
}

export type StandInPlatform = {
  readonly url: string
  /** Every request so far, oldest first. */
  readonly seen: readonly { readonly line: string; readonly headers: IncomingMessage['headers'] }[]
  close(): Promise<void>
}

/** Starts on a free loopback port. A handler that throws answers 599 with its message. */
export async function startStandInPlatform(
  handle: (exchange: StandInExchange) => void | Promise<void>,
): Promise<StandInPlatform> {
  const seen: { line: string; headers: IncomingMessage['headers'] }[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://stand-in')
    const line = `${request.method} ${url.pathname}`
    seen.push({ line, headers: request.headers })
    Promise.resolve(handle({ request, response, url, line })).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else sendJson(response, { error: String(error) }, 599)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Answers with a JSON document. */
export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length })
  response.end(body)
}

/** The whole body of a request. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}
