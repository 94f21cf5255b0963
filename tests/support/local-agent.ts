/** @module The A2A endpoint on somebody's laptop to which `atrium connect --forward` passes messages. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export type LocalAgentServer = {
  readonly url: string
  readonly bodies: readonly { readonly headers: IncomingHttpHeaders; readonly body: unknown }[]
  close(): void
}

/** Answers the `call`-th request with what `answer` makes of it, at once or later; breaks off for undefined. */
export async function localAgent(
  answer: (body: { method: string; id: unknown }, call: number) => unknown,
): Promise<LocalAgentServer> {
  const bodies: { headers: IncomingHttpHeaders; body: unknown }[] = []
  const server = createServer(async (incoming, response) => {
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece)
    const body = JSON.parse(Buffer.concat(pieces).toString('utf8'))
    bodies.push({ headers: incoming.headers, body })
    const said = await answer(body, bodies.length)
    response.setHeader('content-type', 'application/json')
    if (said === undefined) response.destroy()
    else response.end(JSON.stringify(said))
  })
  await new Promise<void>((listening) => {
    server.listen(0, '127.0.0.1', listening)
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/a2a`, bodies, close: () => server.close() }
}
