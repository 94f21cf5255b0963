/**
 * @module A stand-in for runtimes of before: one secret, nothing else opens its files. It refuses at
 * the head of a request, and takes whatever secret the answers to its beats bring.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { credentialId } from '@atrium/http-kit/bearer'

export type OneSlotRuntime = {
  readonly url: string
  secret: string
  /** How many requests were let in, and how many were refused. */
  readonly seen: { accepted: number; refused: number }
  /** Sends a beat; one of the runtimes that can say which secret they hold, or not. */
  beat(platformUrl: string, as: { readonly id: string; readonly authToken: string }): Promise<void>
  close(): Promise<void>
}

export async function startOneSlotRuntime(options: {
  readonly secret: string
  readonly namesItsSecret: boolean
}): Promise<OneSlotRuntime> {
  const server = createServer((incoming, response) => {
    if (incoming.headers.authorization !== `Bearer ${runtime.secret}`) {
      runtime.seen.refused += 1
      answer(response, 401, { error: 'unauthorized' })
      return
    }
    runtime.seen.accepted += 1
    void serve(incoming, response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const runtime: OneSlotRuntime = {
    url: `http://127.0.0.1:${port}`,
    secret: options.secret,
    seen: { accepted: 0, refused: 0 },
    async beat(platformUrl, { id, authToken }) {
      const named = options.namesItsSecret
        ? { inbound_secret_id: credentialId(runtime.secret) }
        : {}
      const response = await fetch(`${platformUrl}/registry/heartbeat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${authToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ workspace_id: id, ...named }),
      })
      const body = (await response.json()) as { platform_inbound_secret?: string }
      runtime.secret = body.platform_inbound_secret ?? runtime.secret
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return runtime
}

/** An upload is answered with the digest of what arrived, a download with its path. */
async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  if (incoming.method !== 'POST') {
    answer(response, 200, { url: incoming.url })
    return
  }
  const digest = createHash('sha256')
  try {
    for await (const piece of incoming) digest.update(piece)
  } catch {
    // The client broke off: there is nobody to answer.
    return
  }
  answer(response, 200, { sha256: digest.digest('hex') })
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
    .end(text)
}
