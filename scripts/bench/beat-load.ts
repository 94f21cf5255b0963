/** @module Beats over kept connections, each sending the next when the last is answered. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'

/** How many beats wait at once: of ten thousand workspaces in thirty seconds, a burst's worth. */
const CONNECTIONS = 256
const HEAD_END = Buffer.from('\r\n\r\n')

/** Beats answered with 200 per second, over `ms` milliseconds. Throws on any other answer. */
export async function beatFor(
  port: number,
  requests: readonly Buffer[],
  ms: number,
): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port)))
  let next = 0
  let answered = 0
  const startedAt = performance.now()
  const isOver = (): boolean => performance.now() - startedAt >= ms
  const run = async (socket: Socket): Promise<void> => {
    while (!isOver()) {
      socket.write(requests[next++ % requests.length] ?? Buffer.alloc(0))
      await answerOn(socket)
      answered += 1
    }
  }
  await Promise.all(sockets.map(run))
  const seconds = (performance.now() - startedAt) / 1_000
  for (const socket of sockets) socket.destroy()
  return answered / seconds
}

async function open(port: number): Promise<Socket> {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Resolves when one whole answer with status 200 has arrived. */
function answerOn(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const done = (error?: Error): void => {
      socket.off('data', onData).off('error', done).off('close', onClose)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onClose = (): void => done(new Error('the server closed the connection'))
    const onData = (piece: Buffer): void => {
      received = received.length === 0 ? piece : Buffer.concat([received, piece])
      if (!isWhole(received)) return
      const status = received.toString('latin1', 9, 12)
      done(status === '200' ? undefined : new Error(received.toString('utf8')))
    }
    socket.on('data', onData).on('error', done).on('close', onClose)
  })
}

function isWhole(bytes: Buffer): boolean {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return false
  const head = bytes.toString('latin1', 0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length !== undefined) return bytes.length >= end + HEAD_END.length + Number(length)
  return bytes.toString('latin1', bytes.length - 5) === '0\r\n\r\n'
}
