/** @module The part of a control plane that knows sessions, on a real socket. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SessionServer = {
  readonly url: string
  /** Members by their cookie. */
  readonly members: Map<string, string>
  /** Every question: its path with the query, and its cookie. */
  readonly asked: { readonly path: string; readonly cookie: string | undefined }[]
  /** Replaces the answer. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  close(): Promise<void>
}

export async function startSessionServer(): Promise<SessionServer> {
  const members = new Map<string, string>()
  const asked: SessionServer['asked'] = []
  const server = createServer((request, response) => {
    const { cookie } = request.headers
    asked.push({ path: request.url ?? '', cookie })
    if (state.answer !== undefined) return state.answer(request, response)
    const userId = members.get(cookie ?? '')
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify(userId === undefined ? { member: false } : { member: true, user_id: userId }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const state: SessionServer = {
    url: `http://127.0.0.1:${port}`,
    members,
    asked,
    answer: undefined,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return state
}
