import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { box, workspace } from '../../support/boxed-workspace.ts'
import { formWith, provideChatFiles, upload } from '../../support/chat-files-api.ts'
import { eventually } from '../../support/eventually.ts'
import { ADMIN_TOKEN } from '../../support/platform-harness.ts'
import { begin, errorCode, readAnswer } from '../../support/raw-client.ts'
import { platform } from '../../support/shared-platform.ts'

provideChatFiles()

describe('POST /workspaces/:id/chat/uploads', () => {
  it('forwards method, path, bytes, type and the inbound secret, and nothing else', async () => {
    const answered = '{"files":[{"uri":"workspace:/workspace/x","name":"a.txt","size":5}]}'
    box.answer = (_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'x-powered-by': 'box' })
        .end(answered)
    const answer = await upload(workspace.id, {
      headers: { cookie: 'session=1', 'x-forwarded-for': '1.2.3.4', 'x-evil': '1' },
    })
    expect(answer.status).toBe(200)
    expect(await answer.text()).toBe(answered)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('x-powered-by')).toBeNull()
    const [seen] = box.requests
    expect(seen?.method).toBe('POST')
    expect(seen?.url).toBe('/internal/chat/uploads/ingest')
    expect(seen?.headers.authorization).toBe(`Bearer ${workspace.inboundSecret}`)
    expect(seen?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(seen?.headers['x-request-id']).toBe(answer.headers.get('x-request-id'))
    expect(seen?.body.toString()).toContain('hello')
    for (const name of ['cookie', 'x-forwarded-for', 'x-evil', 'origin', 'user-agent']) {
      expect(seen?.headers[name]).toBeUndefined()
    }
  })

  it('refuses a declared length over the limit without touching the workspace', async () => {
    const big = 'x'.repeat(52_428_801)
    const answer = await upload(workspace.id, { body: formWith('big', big) })
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({
      error: 'request body exceeds total limit (50 MB)',
      code: 'declared_length_exceeds_total',
    })
    expect(box.requests).toHaveLength(0)
  })

  it('is heard by a client that takes its time and looks up only when it has sent everything', async () => {
    const limit = 52_428_800
    const sent = begin(new URL(`/workspaces/${workspace.id}/chat/uploads`, platform.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-length': String(limit + 1) },
    })
    const response = once(sent, 'response')
    const piece = Buffer.alloc(limit / 20)
    for (let index = 0; index < 20; index += 1) {
      // Rejects when the connection is cut under the client.
      await new Promise<void>((resolve, reject) => {
        sent.write(piece, (error) => (error ? reject(error) : resolve()))
      })
      await delay(100)
    }
    sent.end('x')
    const answer = await readAnswer((await response)[0])
    expect([answer.status, errorCode(answer)]).toEqual([413, 'declared_length_exceeds_total'])
  })

  it('cuts a chunked body at the limit and tells the client why', async () => {
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1024 * 1024
        if (sent > 80 * 1024 * 1024) controller.close()
        else controller.enqueue(new Uint8Array(1024 * 1024))
      },
    })
    const answer = await upload(workspace.id, {
      body: endless,
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      duplex: 'half',
    } as RequestInit)
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ code: 'declared_length_exceeds_total' })
    expect(box.requests).toHaveLength(0)
  })
})

describe('a client that breaks off its upload', () => {
  it('leaves the workspace with a broken request and the log without a false accusation', async () => {
    let hasArrived = false
    let isAborted = false
    box.server.on('request', (incoming) => {
      hasArrived = true
      incoming.on('close', () => {
        isAborted = !incoming.complete
      })
    })
    const client = new AbortController()
    const body = new ReadableStream({
      async pull(controller) {
        controller.enqueue(new Uint8Array(64 * 1024))
        await new Promise((resolve) => {
          setTimeout(resolve, 5)
        })
      },
    })
    const answer = upload(workspace.id, {
      body,
      signal: client.signal,
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      duplex: 'half',
    } as RequestInit)
    const refused = expect(answer).rejects.toThrow()
    await eventually(() => hasArrived)
    const before = platform.logLines().length
    client.abort()
    await refused
    await eventually(() => isAborted)
    const after = await eventually(() => {
      const lines = platform.logLines().slice(before)
      return lines.some((line) => line.includes('http.client_gone')) ? lines : undefined
    })
    expect(after.join()).not.toContain('workspace_unreachable')
  })
})
