/** @module Where a client has the news of its tasks sent. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type HookServer = {
  readonly url: string
  /** What a caller shall say, so that it is believed. */
  readonly token: string
  readonly calls: readonly { readonly token: string | undefined; readonly body: string }[]
  close(): Promise<void>
}

export async function startHookServer(): Promise<HookServer> {
  const calls: { token: string | undefined; body: string }[] = []
  const server = createServer(async (incoming, outgoing) => {
    let body = ''
    for await (const piece of incoming) body += piece
    const token = incoming.headers['x-a2a-notification-token']
    calls.push({ token: typeof token === 'string' ? token : undefined, body })
    outgoing.end()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    token: `hook-${crypto.randomUUID()}`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
