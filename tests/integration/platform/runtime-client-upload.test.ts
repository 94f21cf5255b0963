import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type RequestListener } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { closeAfterEachTest, hop, sha256, start } from '../../support/origin-behind-hop.ts'
import { begin, errorCode, readAnswer, send } from '../../support/raw-client.ts'

const MIB = 1024 * 1024

closeAfterEachTest()

describe('an upload', () => {
  const SHORT_IDLE = { idleTimeoutMs: 1_500 }

  const body = randomBytes(20 * MIB)

  const collect: RequestListener = async (incoming, outgoing) => {
    const hash = createHash('sha256')
    try {
      for await (const piece of incoming) hash.update(piece)
    } catch {
      // Broken off on the way: there is nobody to answer.
      return
    }
    const framing = incoming.headers['content-length'] ?? incoming.headers['transfer-encoding']
    outgoing.end(JSON.stringify([hash.digest('hex'), framing]))
  }

  it('of known length arrives intact, with its length', async () => {
    await start(collect)
    const answer = await send(hop.url, { method: 'POST', body })
    expect(JSON.parse(answer.body.toString())).toEqual([sha256(body), String(body.length)])
  })

  it('in chunks arrives intact, in chunks', async () => {
    await start(collect)
    const sent = begin(hop.url, { method: 'POST' })
    const answer = new Promise<string>((resolve, reject) => {
      sent.once('error', reject)
      sent.once('response', async (response) => {
        resolve((await readAnswer(response)).body.toString())
      })
    })
    for (let at = 0; at < body.length; at += 3 * MIB) sent.write(body.subarray(at, at + 3 * MIB))
    sent.end()
    expect(JSON.parse(await answer)).toEqual([sha256(body), 'chunked'])
  })

  it('is held back by a runtime that does not read yet', async () => {
    const isReading = Promise.withResolvers<void>()
    await start(async (incoming, outgoing) => {
      await isReading.promise
      await collect(incoming, outgoing)
    })
    const sent = begin(hop.url, { method: 'POST' })
    let bytesTaken = 0
    for (let index = 0; index < 64; index += 1) {
      sent.write(body.subarray(0, MIB), () => {
        bytesTaken += MIB
      })
    }
    let before = -1
    await eventually(async () => {
      const isSettled = bytesTaken === before
      before = bytesTaken
      await delay(100)
      return isSettled
    })
    // What the kernel keeps on two connections, and next to nothing of our own.
    expect(bytesTaken).toBeLessThan(28 * MIB)

    isReading.resolve()
    sent.end()
    const [response] = await once(sent, 'response')
    expect(response.statusCode).toBe(200)
  })

  it.each([
    ['of known length', { 'content-length': String(50 * MIB) }],
    ['in chunks', {}],
  ])('%s that the client breaks off never looks complete to the runtime', async (_, headers) => {
    const ends: string[] = []
    await start((incoming) => {
      incoming.on('end', () => ends.push('end'))
      incoming.on('error', () => ends.push('error'))
      incoming.resume()
    })
    const sent = begin(hop.url, { method: 'POST', headers })
    sent.once('error', () => ends.push('client'))
    sent.write(body.subarray(0, MIB), () => sent.destroy())
    await eventually(() => ends.includes('error'))
    expect(ends).not.toContain('end')
  })

  it('passes an early refusal to a client that is still sending', async () => {
    let taken = 0
    await start((incoming, outgoing) => {
      incoming.on('data', (piece) => {
        taken += piece.length
        if (outgoing.headersSent) return
        incoming.pause()
        outgoing.writeHead(413, { 'content-type': 'application/json' }).end('{"error":"too big"}')
      })
    })
    const agent = new Agent({ keepAlive: true })
    const answer = await send(hop.url, { method: 'POST', body, agent })
    expect([answer.status, answer.body.toString()]).toEqual([413, '{"error":"too big"}'])
    expect(taken).toBeLessThan(body.length)
    // The client's own connection is still good: its body was read to the end and thrown away.
    const next = await send(hop.url, { method: 'POST', body: Buffer.from('x'), agent })
    expect(next.status).toBe(413)
    agent.destroy()
  })

  it('passes an early refusal to a client that sends slowly and looks up only at its end', async () => {
    await start((incoming, outgoing) => {
      incoming.once('data', () => outgoing.writeHead(413, { 'content-length': 2 }).end('no'))
    }, SHORT_IDLE)
    const pieces = 12
    const headers = { 'content-length': String(pieces * 1000) }
    const sent = begin(hop.url, { method: 'POST', headers })
    const response = once(sent, 'response')
    for (let index = 0; index < pieces; index += 1) {
      // Rejects when the connection is cut under the client.
      await new Promise<void>((resolve, reject) => {
        sent.write(body.subarray(0, 1000), (error) => (error ? reject(error) : resolve()))
      })
      await delay(150)
    }
    sent.end()
    const [received] = await response
    const answer = await readAnswer(received)
    expect([answer.status, answer.body.toString(), answer.isComplete]).toEqual([413, 'no', true])
  })

  it('that the client stops sending is refused as stalled', async () => {
    await start(collect, { idleTimeoutMs: 200 })
    const sent = begin(hop.url, { method: 'POST', headers: { 'content-length': '10' } })
    const response = new Promise<Awaited<ReturnType<typeof send>>>((resolve, reject) => {
      sent.once('error', reject)
      sent.once('response', (received) => resolve(readAnswer(received)))
    })
    sent.write('hello')
    expect(errorCode(await response)).toBe('upload_stalled')
    sent.destroy()
  })

  it('that the runtime stops taking ends as silence of the workspace', async () => {
    await start(() => undefined, { idleTimeoutMs: 200 })
    const answer = await send(hop.url, { method: 'POST', body })
    expect([answer.status, errorCode(answer)]).toEqual([504, 'workspace_timeout'])
  })

  it('has the whole time for the answer from the end of its body on', async () => {
    await start(
      async (incoming, outgoing) => {
        for await (const _ of incoming);
        await delay(200)
        outgoing.end('ok')
      },
      { headersTimeoutMs: 1_500, idleTimeoutMs: 1_500, connectTimeoutMs: 1_500 },
    )
    const sent = begin(hop.url, { method: 'POST' })
    const status = new Promise<number>((resolve) => {
      sent.once('response', (response) => resolve(response.statusCode ?? 0))
    })
    for (let index = 0; index < 12; index += 1) {
      sent.write('.')
      await delay(150)
    }
    sent.end()
    expect(await status).toBe(200)
  })
})
