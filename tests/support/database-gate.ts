/** @module A door in front of a database that a test can shut and open again: an outage, at will. */
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'

export type DatabaseGate = {
  /** The URL of the database, through the door. */
  readonly url: string
  /**
   * Cuts every connection and refuses new ones, as a server that was killed does; with `reset` as one
   * that had not read everything yet, which is no polite end.
   */
  shut(how?: 'reset'): Promise<void>
  /** Lets nothing through any more and refuses nothing: a machine that hangs, a cable that is cut. */
  freeze(): void
  /** Lets connections through again, at the same address. Both may be repeated. */
  open(): Promise<void>
  /** The next commit reaches the database, and its connection is cut before the answer. */
  loseNextCommit(): void
  /** The same for the next question that holds this text. */
  loseAnswerTo(text: string): void
  /** How often the database has committed something, lost or not. */
  commits(): number
  /** How many connections of clients are open. */
  connections(): number
}

/** Opens a door in front of the database at `databaseUrl`; whoever uses it shuts it at the end. */
export async function openDatabaseGate(databaseUrl: string): Promise<DatabaseGate> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let server: Server | undefined
  let port = 0
  let isFrozen = false
  let isNextCommitLost = false
  let lostQuestion: string | undefined
  let commits = 0
  /** Listens before the pipe does, which then writes to a connection that is gone. */
  const onAnswer = (answer: Buffer, client: Socket): void => {
    if (!answer.includes('COMMIT\0')) return
    commits += 1
    if (isNextCommitLost) client.destroy()
    isNextCommitLost = false
  }
  const watchFor = (client: Socket, upstream: Socket): void => {
    client.on('data', (question: Buffer) => {
      if (lostQuestion === undefined || !question.includes(lostQuestion)) return
      lostQuestion = undefined
      upstream.prependOnceListener('data', () => client.destroy())
    })
  }
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    // A cut connection is what this is for.
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  const open = async (): Promise<void> => {
    if (server !== undefined) return
    isFrozen = false
    server = createServer((client) => {
      clients.add(client.on('close', () => clients.delete(client)))
      if (isFrozen) {
        track(client)
        return
      }
      const upstream = createConnection({
        host: target.hostname,
        port: Number(target.port || 5432),
      })
      upstream.on('data', (answer: Buffer) => onAnswer(answer, client))
      watchFor(client, upstream)
      for (const [from, to] of [
        [track(client), upstream],
        [track(upstream), client],
      ] as const) {
        from.pipe(to).on('close', () => from.destroy())
      }
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
    port = address.port
  }
  await open()
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    open,
    freeze() {
      isFrozen = true
      for (const socket of sockets) socket.pause()
    },
    commits: () => commits,
    connections: () => clients.size,
    loseNextCommit() {
      isNextCommitLost = true
    },
    loseAnswerTo(text) {
      lostQuestion = text
    },
    async shut(how) {
      if (server === undefined) return
      const closed = once(server, 'close')
      server.close()
      server = undefined
      if (how === 'reset') for (const client of clients) client.resetAndDestroy()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
