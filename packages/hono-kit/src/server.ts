/** @module Binds an app to a socket with the deadlines this system wants (design/architecture 5). */
import { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'
import type { BaseEnv } from './request-context.ts'

const IDLE_SWEEP_MS = 50

export type ListeningServer = {
  readonly host: string
  readonly port: number
  readonly server: Server
  /** Stops accepting, lets requests in flight end for `graceMs`, then cuts them. Idempotent. */
  close(graceMs: number): Promise<void>
}

/**
 * Listens and resolves once the port is known; `port: 0` asks the kernel for a free one.
 * Rejects with the listen error (EADDRINUSE, EACCES).
 */
export async function listen<E extends BaseEnv>(
  app: Hono<E>,
  address: { readonly host: string; readonly port: number },
): Promise<ListeningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    // It would cut a client half a second after an early answer (see earlyAnswer).
    autoCleanupIncoming: false,
    serverOptions: {
      // Covers the whole body by default (300 s): a slow but moving upload would be cut.
      requestTimeout: 0,
      headersTimeout: 60_000,
      // Longer than the idle time of common load balancers, or they reuse a closing connection.
      keepAliveTimeout: 75_000,
      // Fewer reads per upload: the request body arrives in larger pieces.
      highWaterMark: 256 * 1024,
    },
  })
  if (!(server instanceof Server)) throw new Error('not an HTTP/1.1 server')
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('not a TCP socket')
  let closing: Promise<void> | undefined
  return {
    host: address.host,
    port: bound.port,
    server,
    close(graceMs) {
      closing ??= new Promise<void>((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs)
        // Kept-alive connections become idle one by one; Node closes only those that are idle now.
        const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
        server.close(() => {
          clearTimeout(cut)
          clearInterval(sweep)
          resolve()
        })
        server.closeIdleConnections()
      })
      return closing
    },
  }
}
