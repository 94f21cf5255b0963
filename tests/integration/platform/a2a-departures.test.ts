import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { activity, answerWith, RESULT, request } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({
  ATRIUM_AGENT_TIMEOUT_MS: '3000',
  ATRIUM_IDLE_TIMEOUT_MS: '1000',
})

describe('POST /workspaces/:id/a2a', () => {
  it('lets go of the agent when the client leaves', async () => {
    let isClosed = false
    box.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
      response.on('close', () => {
        isClosed = true
      })
    }
    const client = new AbortController()
    await platform.request(`/workspaces/${workspace.id}/a2a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: request({ method: 'message/stream' }),
      signal: client.signal,
    })
    client.abort()
    await eventually(() => isClosed)
  })

  it('lets the agent finish and notes its answer when the client of a plain request leaves', async () => {
    const taken = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let isCutOff = false
    box.answer = async (_, response) => {
      response.once('close', () => {
        isCutOff = !response.writableFinished
      })
      taken.resolve()
      await gate.promise
      response.writeHead(200, { 'content-type': 'application/json' }).end(RESULT)
    }
    const client = new AbortController()
    const before = platform.logLines().length
    const answer = platform.request(`/workspaces/${workspace.id}/a2a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: request(),
      signal: client.signal,
    })
    const refused = expect(answer).rejects.toThrow()
    await taken.promise
    client.abort()
    await refused
    // Answered after the end of that client's connection had been there to be read.
    await platform.request('/health')
    gate.resolve()
    const [row] = await eventually(async () => {
      const rows = await activity()
      return rows.length > 0 && rows
    })
    expect(row).toMatchObject({ status: 'ok', response_body: JSON.parse(RESULT) })
    expect(isCutOff).toBe(false)
    await eventually(() => platform.logLines().slice(before).join().includes('http.client_gone'))
  })

  describe('a client that takes nothing of its answer', () => {
    let client: Socket

    /** Asks, and reads no byte of what it is told. */
    async function askAndIgnore(): Promise<void> {
      const { hostname, port } = new URL(platform.url)
      client = connect({ host: hostname, port: Number(port) })
      await once(client, 'connect')
      const body = request()
      client.write(
        [
          `POST /workspaces/${workspace.id}/a2a HTTP/1.1`,
          'Host: platform',
          `Authorization: Bearer ${workspace.authToken}`,
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
      )
    }

    afterEach(() => {
      client.destroy()
    })

    it('does not keep a stream open for ever', async () => {
      let isClosed = false
      box.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.once('close', () => {
          isClosed = true
        })
        const event = `data: ${'e'.repeat(64 * 1024)}\n\n`
        const pour = (): void => {
          while (!response.destroyed && response.write(event)) {
            // until the kernel is full
          }
        }
        response.on('drain', pour)
        pour()
      }
      await askAndIgnore()
      await eventually(() => isClosed)
    })

    it('does not keep a long answer in memory for ever', async () => {
      const before = platform.logLines().length
      const text = 'x'.repeat(9 * 1024 * 1024)
      answerWith(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: 7, result: text }))
      await askAndIgnore()
      await eventually(() => platform.logLines().slice(before).join().includes('http.broken_off'))
    })
  })
})
