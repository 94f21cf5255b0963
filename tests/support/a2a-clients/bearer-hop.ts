/**
 * @module Stands before a platform for clients that cannot carry a credential: it adds one to every
 * request, and is the address that agent cards advertise.
 */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { pipeline } from 'node:stream'

export type BearerHop = {
  readonly url: string
  /** Where requests go; may be changed at any time. */
  target: string
  /** By the workspace's id in the path; who is not in here goes on without. */
  readonly tokens: Map<string, string>
  close(): Promise<void>
}

const WORKSPACE = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/

export async function openBearerHop(): Promise<BearerHop> {
  const tokens = new Map<string, string>()
  const server = createServer((incoming, outgoing) => {
    const workspace = WORKSPACE.exec(incoming.url ?? '')?.[0] ?? ''
    const token = tokens.get(workspace)
    const sent = request(new URL(incoming.url ?? '/', hop.target), {
      method: incoming.method,
      headers: {
        ...incoming.headers,
        connection: 'close',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    })
    sent.on('error', () => outgoing.destroy())
    sent.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      outgoing.flushHeaders()
      pipeline(answer, outgoing, () => undefined)
    })
    outgoing.on('close', () => sent.destroy())
    incoming.pipe(sent)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  const hop: BearerHop = {
    url: `http://127.0.0.1:${address.port}`,
    target: '',
    tokens,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return hop
}
