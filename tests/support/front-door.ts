/** @module What stands before several replicas: passes each connection to one that answers. */
import { connect, createServer, type Socket } from 'node:net'

export type FrontDoor = {
  readonly url: string
  /** Who is behind it now, as base URLs; tried in turn. */
  behind: readonly string[]
  close(): Promise<void>
}

export async function openFrontDoor(): Promise<FrontDoor> {
  const sockets = new Set<Socket>()
  let turn = 0
  // Each connection tries every replica once, in its own order: with one turn for all, a connection
  // beside it would take the replica that answers, and both tries would meet the one that is gone.
  const pass = (client: Socket, [target, ...others]: readonly string[]): void => {
    if (target === undefined) {
      client.destroy()
      return
    }
    const { hostname, port } = new URL(target)
    const upstream = connect(Number(port), hostname)
    upstream.once('connect', () => {
      sockets.add(upstream)
      upstream.once('close', () => {
        sockets.delete(upstream)
        client.destroy()
      })
      client.once('close', () => upstream.destroy())
      client.pipe(upstream).pipe(client)
    })
    // A replica that is gone refuses; one that dies later takes the connection along.
    upstream.on('error', () => {
      if (upstream.connecting || !sockets.has(upstream)) pass(client, others)
    })
  }
  const server = createServer((client) => {
    sockets.add(client)
    client.once('close', () => sockets.delete(client))
    client.on('error', () => client.destroy())
    const at = turn++ % Math.max(door.behind.length, 1)
    pass(client, [...door.behind.slice(at), ...door.behind.slice(0, at)])
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', () => listening.resolve())
  await listening.promise
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const door: FrontDoor = {
    url: `http://127.0.0.1:${address.port}`,
    behind: [],
    async close() {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      for (const socket of sockets) socket.destroy()
      await closed.promise
    },
  }
  return door
}
