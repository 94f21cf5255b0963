/** The proof that a slice of the read buffer is never overwritten while somebody still uses it. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OnreadSocket } from '../../../apps/platform/src/upstream/onread-agent.ts'
import { eventually } from '../../support/eventually.ts'

const BUFFER_BYTES = 1024

let server: Server
let peer: Promise<Socket>
let port: number

beforeEach(async () => {
  server = createServer()
  peer = new Promise((resolve) => {
    server.once('connection', resolve)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  port = address.port
})

afterEach(async () => {
  ;(await peer).destroy()
  server.close()
  await once(server, 'close')
})

function connect(): { socket: OnreadSocket; slices: Buffer[]; hold: { on: boolean } } {
  const hold = { on: false }
  const slices: Buffer[] = []
  const socket = OnreadSocket.create(BUFFER_BYTES)
  socket.holdWhile(() => hold.on)
  socket.on('data', (slice: Buffer) => {
    slices.push(slice)
    hold.on = true
  })
  socket.connect({ host: '127.0.0.1', port })
  return { socket, slices, hold }
}

describe('OnreadSocket', () => {
  it('hands out its one buffer again and again', async () => {
    const { socket, slices, hold } = connect()
    for (const [index, letter] of ['a', 'b', 'c'].entries()) {
      ;(await peer).write(letter)
      await eventually(() => slices.length === index + 1)
      expect(slices[index]?.toString()).toBe(letter)
      hold.on = false
      socket.resume()
    }
    expect(new Set(slices.map((slice) => slice.buffer)).size).toBe(1)
    socket.destroy()
  })

  it('reads nothing while it is held, however often Node asks it to', async () => {
    const { socket, slices, hold } = connect()
    const sender = await peer
    sender.write(Buffer.alloc(BUFFER_BYTES, 'a'))
    await eventually(() => slices.length === 1)
    // The next bytes are in this side's kernel when the other side has been rid of them.
    sender.write(Buffer.alloc(BUFFER_BYTES, 'b'))
    await eventually(() => sender.writableLength === 0)
    for (let turn = 0; turn < 20; turn += 1) {
      socket.resume()
      socket.read(0)
      socket.read()
      await new Promise(setImmediate)
    }
    expect(slices).toHaveLength(1)
    expect(slices[0]?.equals(Buffer.alloc(BUFFER_BYTES, 'a'))).toBe(true)

    hold.on = false
    socket.resume()
    await eventually(() => slices.length === 2)
    expect(slices[1]?.equals(Buffer.alloc(BUFFER_BYTES, 'b'))).toBe(true)
    socket.destroy()
  })
})
