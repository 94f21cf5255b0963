/**
 * @module An HTTP hop in front of a platform that a test holds: it can keep a request back, keep an
 * answer back, cut everything, and point elsewhere, while clients always see one address.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export type GateDecision = 'pass' | 'hold' | 'hold_answer'

export type HttpGate = {
  readonly url: string
  /** Where requests go; may be changed at any time. */
  target: string
  /** Decides about every request as it comes; the default lets all pass. */
  decide: (line: string) => GateDecision
  /** Awaited before an answer that has come is passed on. */
  beforeAnswer: (line: string) => Promise<void>
  /** The lines (`POST /path`) of all requests so far, and of those whose answer was kept back. */
  readonly seen: string[]
  readonly withheld: string[]
  /** Breaks all connections and refuses new ones, until it is opened again at the same address. */
  cut(): void
  open(): void
  close(): Promise<void>
}

export async function startHttpGate(target: string): Promise<HttpGate> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing))
  server.on('connection', (socket) => {
    if (isCut) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')

  const gate: HttpGate = {
    url: `http://127.0.0.1:${address.port}`,
    target,
    decide: () => 'pass',
    beforeAnswer: async () => undefined,
    seen: [],
    withheld: [],
    cut() {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    open() {
      isCut = false
    },
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const line = `${incoming.method} ${incoming.url?.split('?')[0]}`
    gate.seen.push(line)
    const decision = gate.decide(line)
    if (decision === 'hold') return
    const sent = request(new URL(incoming.url ?? '/', gate.target), {
      method: incoming.method,
      headers: { ...incoming.headers, connection: 'close' },
    })
    // A hop has no opinion: what breaks on one side breaks on the other.
    sent.on('error', () => outgoing.destroy())
    incoming.on('error', () => sent.destroy())
    outgoing.on('close', () => sent.destroy())
    sent.on('response', async (answer) => {
      await gate.beforeAnswer(line)
      if (decision === 'hold_answer') {
        answer.resume()
        answer.on('end', () => gate.withheld.push(line))
        return
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.on('error', () => outgoing.destroy())
      answer.pipe(outgoing)
    })
    incoming.pipe(sent)
  }
  return gate
}
