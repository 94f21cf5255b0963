/** @module A real HTTP server that plays the workspace: it records requests and answers as told. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type RecordedRequest = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export type WorkspaceServer = {
  readonly url: string
  readonly requests: RecordedRequest[]
  /** Called with the whole body read; the default answers 200 and an empty JSON object. */
  answer: (request: RecordedRequest, response: ServerResponse) => void
  readonly server: Server
  close(): Promise<void>
}

export async function startWorkspaceServer(): Promise<WorkspaceServer> {
  const requests: RecordedRequest[] = []
  const server = createServer(async (incoming, response) => {
    const pieces: Buffer[] = []
    try {
      for await (const piece of incoming) pieces.push(piece)
    } catch {
      // The client broke off: there is nobody to answer.
      return
    }
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
      body: Buffer.concat(pieces),
    }
    requests.push(request)
    workspace.answer(request, response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const workspace: WorkspaceServer = {
    url: `http://127.0.0.1:${port}`,
    requests,
    server,
    answer: (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return workspace
}
