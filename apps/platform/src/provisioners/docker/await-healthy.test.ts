import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '@atrium/http-kit/clock'
import { afterEach, describe, expect, it } from 'vitest'
import { awaitHealthy } from './await-healthy.ts'

const UPGRADE = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'

describe('awaitHealthy', () => {
  const sockets: Socket[] = []
  let server: Server | undefined

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    server?.close()
  })

  /** A server that says `text` to whoever asks, and ends the connection when told to. */
  const waitFor = async (text: string, { isEnded = false, timeoutMs = 300 } = {}) => {
    server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => socket.destroy())
      socket.once('data', () => (isEnded ? socket.end(text) : socket.write(text)))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return awaitHealthy({
      place: { host: '127.0.0.1', port },
      clock: systemClock,
      timeoutMs,
      signal: new AbortController().signal,
      whyEnded: async () => undefined,
    })
  }

  it.each([
    ['of a known length', 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno', false],
    ['that ends with its connection', 'HTTP/1.0 200 OK\r\n\r\nwell', true],
  ])('takes an answer %s for one', async (_, text, isEnded) => {
    await waitFor(text, { isEnded, timeoutMs: 10_000 })
  })

  it.each([
    ['says nothing', '', false],
    ['switches protocols', UPGRADE, false],
    ['switches protocols and hangs up', UPGRADE, true],
    ['ends in the middle of its answer', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', true],
    ['never ends its answer', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', false],
    ['speaks something else', 'SSH-2.0-x\r\n', false],
  ])('gives a server up in time that %s', async (_, text, isEnded) => {
    await expect(waitFor(text, { isEnded })).rejects.toThrow('was not ready within 300 ms')
  })
})
