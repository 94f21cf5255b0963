import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createRawServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '@atrium/http-kit/app-error'
import { describe, expect, it } from 'vitest'
import type { RuntimeClientOptions } from '../../../apps/platform/src/upstream/runtime-client.ts'
import { startByteHop } from '../../support/byte-hop.ts'
import { eventually } from '../../support/eventually.ts'
import {
  closeAfterEachTest,
  hop,
  origin,
  sha256,
  start as startUncounted,
} from '../../support/origin-behind-hop.ts'
import { errorCode, open, send } from '../../support/raw-client.ts'

const MIB = 1024 * 1024

let connections = 0

closeAfterEachTest()

async function start(
  listener: RequestListener,
  options: Partial<RuntimeClientOptions> = {},
): Promise<URL> {
  connections = 0
  const url = await startUncounted(listener, options)
  origin.on('connection', () => {
    connections += 1
  })
  return url
}

describe('a download', () => {
  const content = randomBytes(48 * MIB)

  /** The same bytes cut in different ways; every cut is another way through the parser. */
  const CUTS: readonly [name: string, isChunked: boolean, pieceBytes: (index: number) => number][] =
    [
      ['in one piece of known length', false, () => content.length],
      ['in pieces of 64 KiB of known length', false, () => 64 * 1024],
      ['in huge chunks', true, () => 7 * MIB],
      ['in tiny and huge chunks by turns', true, (index) => (index % 400 === 0 ? MIB : 1 + index)],
    ]

  function serve(isChunked: boolean, pieceBytes: (index: number) => number): RequestListener {
    return async (_, outgoing) => {
      if (!isChunked) outgoing.setHeader('content-length', content.length)
      for (let at = 0, index = 0; at < content.length; index += 1) {
        const end = Math.min(content.length, at + pieceBytes(index))
        const hasRoom = outgoing.write(content.subarray(at, end))
        if (!hasRoom) await once(outgoing, 'drain')
        at = end
      }
      outgoing.end()
    }
  }

  describe.each(CUTS)('%s', (_, isChunked, pieceBytes) => {
    it('arrives intact at a client that keeps pausing', async () => {
      await start(serve(isChunked, pieceBytes))
      const response = await open(hop.url)
      const hash = createHash('sha256')
      let bytes = 0
      let pauses = 0
      for await (const piece of response) {
        hash.update(piece)
        bytes += piece.length
        // Long enough for the hop's own writes to stay unflushed behind a full kernel buffer.
        if (bytes > (pauses + 1) * 6 * MIB) {
          pauses += 1
          await delay(30)
        }
      }
      expect(pauses).toBeGreaterThan(5)
      expect([bytes, hash.digest('hex')]).toEqual([content.length, sha256(content)])
    })
  })

  it('arrives intact at 24 clients at once, over kept connections, three times in a row', async () => {
    const pieces = Array.from({ length: 24 }, (_, index) =>
      randomBytes(MIB + index * 77_777 + (index % 2)),
    )
    await start((incoming, outgoing) => {
      const piece = pieces[Number(incoming.url?.slice(1))] ?? Buffer.alloc(0)
      if (incoming.method !== 'HEAD') outgoing.end(piece)
    })
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(
        pieces.map((_, index) => send(new URL(`/${index}`, hop.url))),
      )
      expect(answers.map((answer) => sha256(answer.body))).toEqual(pieces.map(sha256))
    }
    expect(connections).toBeLessThan(3 * 24)
  })

  describe.each([
    ['of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ])('%s after an interim response', (_, final) => {
    it('arrives wherever the network cuts it, and the connection is kept', async () => {
      const message = `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${final}`
      let cut = 0
      connections = 0
      const raw = createRawServer((socket) => {
        connections += 1
        socket.setNoDelay(true)
        socket.on('data', async () => {
          socket.write(message.slice(0, cut))
          await delay(2)
          socket.write(message.slice(cut))
        })
      })
      raw.listen(0, '127.0.0.1')
      await once(raw, 'listening')
      const address = raw.address()
      if (address === null || typeof address === 'string') throw new Error('not listening')
      await start(() => undefined)
      const cutHop = await startByteHop(new URL(`http://127.0.0.1:${address.port}`))
      connections = 0
      for (cut = 1; cut < message.length; cut += 1) {
        const answer = await send(cutHop.url)
        expect([cut, answer.body.toString(), answer.isComplete]).toEqual([cut, 'hello', true])
      }
      expect(connections).toBe(1)
      await cutHop.close()
      raw.close()
    })
  })

  it('of an empty file is complete and empty, and the connection is kept', async () => {
    await start((_, outgoing) => outgoing.writeHead(200, { 'content-length': 0 }).end())
    for (let round = 0; round < 2; round += 1) {
      const answer = await send(hop.url)
      expect([answer.status, answer.body.length, answer.isComplete]).toEqual([200, 0, true])
    }
    expect(connections).toBe(1)
  })

  it('uses a kept connection for the next request', async () => {
    await start((_, outgoing) => outgoing.end('ok'))
    for (let round = 0; round < 5; round += 1) await send(hop.url)
    expect(connections).toBe(1)
  })

  it('passes path and query byte for byte, and the allowed headers', async () => {
    const seen: unknown[] = []
    await start((incoming, outgoing) => {
      seen.push(incoming.url, incoming.headers.range, incoming.headers['x-private'])
      outgoing.writeHead(206, { 'content-range': 'bytes 0-1/9', 'set-cookie': 'a=b' }).end('ab')
    })
    const target = '/a%2Fb/%00?path=%2Fx+y%26%3D&z=%C3%A9'
    const headers = { range: 'bytes=0-1', 'x-private': 'mine' }
    const answer = await send(new URL(target, hop.url), { headers })
    expect(seen).toEqual([target, 'bytes=0-1', undefined])
    expect([answer.status, answer.headers['content-range']]).toEqual([206, 'bytes 0-1/9'])
    expect(answer.headers['set-cookie']).toBeUndefined()
  })

  it('answers HEAD with the length and without a body, and keeps the connection', async () => {
    await start((_, outgoing) => outgoing.writeHead(200, { 'content-length': 5 }).end())
    for (let round = 0; round < 2; round += 1) {
      const answer = await send(hop.url, { method: 'HEAD' })
      expect([answer.headers['content-length'], answer.body.length]).toEqual(['5', 0])
    }
    expect(connections).toBe(1)
  })

  it('lasts longer than every deadline as long as bytes move', async () => {
    await start(
      async (_, outgoing) => {
        outgoing.writeHead(200, { 'content-length': 12 })
        for (let index = 0; index < 12; index += 1) {
          outgoing.write('.')
          await delay(150)
        }
        outgoing.end()
      },
      { idleTimeoutMs: 1_500, headersTimeoutMs: 1_500, connectTimeoutMs: 1_500 },
    )
    const answer = await send(hop.url)
    expect([answer.body.length, answer.isComplete]).toEqual([12, true])
  })
})

describe('RuntimeClient.forward by itself', () => {
  it('destroys the answer to the client when the workspace breaks off', async () => {
    const url = await start((_, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 100 })
      outgoing.write('short', () => outgoing.destroy())
    })
    const failures: unknown[] = []
    const front = createServer(async (incoming, outgoing) => {
      const exchange = { incoming, outgoing, signal: new AbortController().signal }
      await hop.client
        .forward({ url, method: 'GET', headers: {} }, exchange, () => ({
          status: 200,
          headers: { 'content-length': '100' },
        }))
        .catch((error: unknown) => failures.push(error))
    })
    front.listen(0, '127.0.0.1')
    await once(front, 'listening')
    const address = front.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const answer = await send(new URL(`http://127.0.0.1:${address.port}`)).catch(() => undefined)
    expect(answer?.isComplete ?? false).toBe(false)
    expect(failures).toHaveLength(1)
    front.close()
    front.closeAllConnections()
  })
})

describe('an address that the rule refuses', () => {
  const refuse = (refused: (address: string) => boolean) => (address: string) =>
    refused(address) ? new AppError('agent_url_not_routable') : undefined

  it('is not connected to when the URL spells it out', async () => {
    await start((_, outgoing) => outgoing.end(), { checkAddress: refuse(() => true) })
    expect(errorCode(await send(hop.url))).toBe('agent_url_not_routable')
    expect(connections).toBe(0)
  })

  it('is not connected to when a name leads to it', async () => {
    const url = await start((_, outgoing) => outgoing.end())
    const named = await startByteHop(new URL(`http://localhost:${url.port}`), {
      checkAddress: refuse(() => true),
    })
    expect(errorCode(await send(named.url))).toBe('agent_url_not_routable')
    expect(connections).toBe(0)
    await named.close()
  })

  it('gets no byte of a request when the lookup said otherwise', async () => {
    const url = await start(() => undefined)
    const bytes: number[] = []
    origin.on('connection', (socket) => {
      socket.once('close', () => bytes.push(socket.bytesRead))
    })
    // The first judgement is that of the lookup, the second that of the address reached.
    let judgements = 0
    const named = await startByteHop(new URL(`http://localhost:${url.port}`), {
      checkAddress: refuse(() => {
        judgements += 1
        return connections > 0
      }),
    })
    expect(errorCode(await send(named.url))).toBe('agent_url_not_routable')
    await eventually(() => bytes.length === 1)
    expect(bytes).toEqual([0])
    expect(judgements).toBeGreaterThan(1)
    await named.close()
  })
})

describe('a workspace that is not there', () => {
  it('is unreachable when nobody listens', async () => {
    const url = await start((_, outgoing) => outgoing.end())
    origin.close()
    await once(origin, 'close')
    expect(errorCode(await send(new URL(`/?${url.port}`, hop.url)))).toBe('workspace_unreachable')
  })

  it('is unreachable when its name does not resolve', async () => {
    await start((_, outgoing) => outgoing.end())
    const named = await startByteHop(new URL('http://no-such-host.invalid'))
    expect(errorCode(await send(named.url))).toBe('workspace_unreachable')
    await named.close()
  })
})
