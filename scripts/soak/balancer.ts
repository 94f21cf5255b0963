/** @module One address for all replicas: connections go round, and past those that are down. */
import { createConnection, createServer, type Server, type Socket } from 'node:net'

export class Balancer {
  readonly #ports: readonly number[]
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #turn = 0

  constructor(ports: readonly number[]) {
    this.#ports = ports
    this.#server = createServer((client) => {
      this.#keep(client)
      this.#connect(client, this.#ports.length)
    })
  }

  /** Resolves with its URL. */
  async start(): Promise<string> {
    const listening = Promise.withResolvers<void>()
    this.#server.listen(0, '127.0.0.1', () => listening.resolve())
    await listening.promise
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    for (const socket of this.#sockets) socket.destroy()
    await closed.promise
  }

  #connect(client: Socket, tries: number): void {
    if (tries === 0) {
      client.destroy()
      return
    }
    this.#turn = (this.#turn + 1) % this.#ports.length
    const upstream = createConnection({ host: '127.0.0.1', port: this.#ports[this.#turn] ?? 0 })
    const onRefused = (): void => this.#connect(client, tries - 1)
    upstream.once('error', onRefused)
    upstream.once('connect', () => {
      upstream.off('error', onRefused)
      this.#keep(upstream)
      client.pipe(upstream).pipe(client)
      client.on('close', () => upstream.destroy())
      upstream.on('close', () => client.destroy())
    })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    // A replica that was killed: its clients see their connection end.
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket))
  }
}
