/** @module A way to the engine that a test can cut, as a network or a restart of the engine does. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dockerHost } from './docker-engine.ts'

export type EngineHop = {
  readonly dockerHost: string
  /** Ends every connection and takes no new one. */
  readonly cut: () => Promise<void>
  readonly restore: () => Promise<void>
  readonly close: () => Promise<void>
}

/** A socket of its own in front of the engine's; requests with `refused` in them are cut off. */
export async function openEngineHop(refused?: string): Promise<EngineHop> {
  const folder = mkdtempSync(join(tmpdir(), 'atrium-engine-'))
  const path = join(folder, 'engine.sock')
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const restore = async (): Promise<void> => {
    server = createServer({ allowHalfOpen: true }, (client) => {
      const engine = connect({ path: new URL(dockerHost).pathname, allowHalfOpen: true })
      client.on('data', (bytes) => {
        if (refused !== undefined && bytes.includes(refused)) client.destroy()
      })
      for (const [from, to] of [
        [client, engine],
        [engine, client],
      ] as const) {
        sockets.add(from)
        from.pipe(to)
        from.on('error', () => to.destroy())
        from.on('close', () => {
          sockets.delete(from)
          to.destroy()
        })
      }
    })
    server.listen(path)
    await once(server, 'listening')
  }
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server = undefined
    await closed
  }
  await restore()
  return {
    dockerHost: `unix://${path}`,
    cut,
    restore,
    close: async () => {
      await cut()
      rmSync(folder, { recursive: true })
    },
  }
}
