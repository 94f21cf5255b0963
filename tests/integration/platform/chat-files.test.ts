import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import {
  ADMIN_TOKEN,
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'
import { begin, errorCode, readAnswer } from '../../support/raw-client.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let box: WorkspaceServer
let workspace: OnlineWorkspace

beforeAll(async () => {
  platform = await startPlatformHarness({
    ATRIUM_IDLE_TIMEOUT_MS: '10000',
    ATRIUM_HEADERS_TIMEOUT_MS: '3000',
  })
})
afterAll(async () => {
  await platform.stop()
})
beforeEach(async () => {
  box = await startWorkspaceServer()
  workspace = await platform.onlineWorkspace(box.url)
})
afterEach(async () => {
  await platform.request(`/workspaces/${workspace.id}?confirm=true&purge=true`, {
    method: 'DELETE',
  })
  await box.close()
})

function formWith(name: string, content: string): FormData {
  const form = new FormData()
  form.append('files', new Blob([content]), name)
  return form
}

const upload = (id: string, init: RequestInit & { as?: string | null } = {}) =>
  platform.request(`/workspaces/${id}/chat/uploads`, {
    method: 'POST',
    body: formWith('a.txt', 'hello'),
    ...init,
  })

const download = (id: string, path: string, init: RequestInit & { as?: string | null } = {}) =>
  platform.request(`/workspaces/${id}/chat/download?path=${encodeURIComponent(path)}`, init)

const UNKNOWN = '00000000-0000-4000-8000-000000000000'
const BOTH = [
  ['POST chat/uploads', (id: string) => upload(id)],
  ['GET chat/download', (id: string) => download(id, '/workspace/a.txt')],
] as const

async function forgetSecret(id: string): Promise<void> {
  await platform.client.sql`
    UPDATE workspaces SET inbound_secret_current = NULL WHERE id = ${id}`
}

describe.each(BOTH)('%s: one credential resolution', (_, call) => {
  it('refuses an id that is not a UUID', async () => {
    const answer = await call('not-a-uuid')
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: 'invalid workspace ID',
      code: 'invalid_workspace_id',
      hop: 'platform',
      retryable: false,
      request_id: answer.headers.get('x-request-id'),
    })
  })

  it('answers 404 for an unknown workspace', async () => {
    const answer = await call(UNKNOWN)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ error: 'workspace not found' })
  })

  it('answers 404 for a removed workspace with the same words', async () => {
    await platform.request(`/workspaces/${workspace.id}`, { method: 'DELETE' })
    const answer = await call(workspace.id)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ error: 'workspace not found' })
  })

  it('answers 503 while the workspace has no URL', async () => {
    await platform.client.sql`UPDATE workspaces SET endpoint_url = NULL WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      error: 'workspace url not registered yet',
      code: 'workspace_url_missing',
    })
    expect(box.requests).toHaveLength(0)
  })

  it('answers 503 for a poll workspace even when it told a URL', async () => {
    await platform.client
      .sql`UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'workspace_url_missing' })
  })

  it('mints a missing secret, delivers it to the box, and asks to retry in 30 seconds', async () => {
    await forgetSecret(workspace.id)
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('30')
    const body = (await answer.json()) as { error: string }
    expect(body).toMatchObject({ code: 'inbound_secret_minted', retry_after_seconds: 30 })
    expect(body.error).toMatch(/retry.*30/)
    const written = await eventually(() =>
      platform.provisioner.writtenSecrets.find((each) => each.workspaceId === workspace.id),
    )
    expect((await call(workspace.id)).status).toBe(200)
    expect(box.requests[0]?.headers.authorization).toBe(`Bearer ${written.secret}`)
  })

  it('mints one secret for several callers at once, and it is the one that opens the box', async () => {
    await forgetSecret(workspace.id)
    const answers = await Promise.all([call(workspace.id), call(workspace.id), call(workspace.id)])
    const refusals = answers.filter((each) => each.status === 503)
    expect(refusals.length).toBeGreaterThan(0)
    const written = await eventually(() => {
      const all = platform.provisioner.writtenSecrets.filter(
        (each) => each.workspaceId === workspace.id,
      )
      return all.length === refusals.length && all
    })
    box.requests.length = 0
    expect((await call(workspace.id)).status).toBe(200)
    const presented = `Bearer ${written[0]?.secret}`
    expect(box.requests.map((each) => each.headers.authorization)).toEqual([presented])
    expect(new Set(written.map((each) => each.secret)).size).toBe(1)
  })

  it('answers 503 naming RFC #2312 and Reprovision when minting fails', async () => {
    await forgetSecret(workspace.id)
    await platform.client.sql.unsafe(`
      CREATE FUNCTION refuse_mint() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$;
      CREATE TRIGGER refuse_mint BEFORE UPDATE OF inbound_secret_current ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_mint();`)
    try {
      const answer = await call(workspace.id)
      expect(answer.status).toBe(503)
      const body = (await answer.json()) as { error: string }
      expect(body).toMatchObject({ code: 'inbound_secret_unavailable', retryable: false })
      expect(body.error).toContain('RFC #2312')
      expect(body.error).toContain('Reprovision')
      expect(JSON.stringify(body)).not.toContain('disk on fire')
    } finally {
      await platform.client.sql.unsafe(
        'DROP TRIGGER refuse_mint ON workspaces; DROP FUNCTION refuse_mint();',
      )
    }
  })

  it('answers 500 when the stored secret cannot be opened', async () => {
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_current = 'v1.ffffffff.AAAA' WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ error: 'failed to read workspace secret' })
  })

  it('answers 500 in the contract\u2019s words when the row cannot be read', async () => {
    await platform.client.sql`ALTER TABLE workspaces RENAME COLUMN endpoint_url TO hidden_url`
    try {
      const answer = await call(workspace.id)
      expect(answer.status).toBe(500)
      expect(await answer.json()).toMatchObject({
        error: 'failed to read workspace secret',
        code: 'inbound_secret_read_failed',
      })
      // Nobody foresaw this one: what it says goes to the log, and its parameters not even there.
      expect((await platform.request('/workspaces')).status).toBe(500)
      expect(platform.logLines().join()).toContain('http.unexpected_error')
      expect(platform.logLines().join()).not.toMatch(/Failed query|params:/)
    } finally {
      await platform.client.sql`ALTER TABLE workspaces RENAME COLUMN hidden_url TO endpoint_url`
    }
  })

  it('answers 502 when the workspace cannot be reached', async () => {
    await box.close()
    const answer = await call(workspace.id)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      error: 'workspace unreachable',
      code: 'workspace_unreachable',
      hop: 'workspace',
      retryable: true,
    })
  })

  it('answers 504 when the workspace takes the request and goes silent', async () => {
    box.answer = () => undefined
    const answer = await call(workspace.id)
    expect(answer.status).toBe(504)
    expect(await answer.json()).toMatchObject({ code: 'workspace_timeout', hop: 'workspace' })
  })

  it('never follows a redirect', async () => {
    const elsewhere = await startWorkspaceServer()
    try {
      for (const status of [301, 302, 307, 308]) {
        box.answer = (_, response) => response.writeHead(status, { location: elsewhere.url }).end()
        const answer = await call(workspace.id)
        expect(answer.status).toBe(502)
        expect(await answer.json()).toMatchObject({ code: 'workspace_redirected' })
      }
      expect(elsewhere.requests).toHaveLength(0)
    } finally {
      await elsewhere.close()
    }
  })

  it("turns the workspace's 401 into 502 and delivers the secret again", async () => {
    box.answer = (_, response) => response.writeHead(401).end('{"error":"unauthorized"}')
    const answer = await call(workspace.id)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      code: 'workspace_auth_mismatch',
      hop: 'workspace',
      retry_after_seconds: 30,
    })
    await eventually(() =>
      platform.provisioner.writtenSecrets.some(
        (each) => each.workspaceId === workspace.id && each.secret === workspace.inboundSecret,
      ),
    )
  })

  it.each([400, 404, 413, 500, 507])(
    'passes the answer %i of the workspace through',
    async (status) => {
      const body = JSON.stringify({ error: 'own words', code: 'own_code', hop: 'workspace' })
      box.answer = (_, response) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      const answer = await call(workspace.id)
      expect(answer.status).toBe(status)
      expect(await answer.text()).toBe(body)
      expect(answer.headers.get('content-type')).toBe('application/json')
    },
  )

  it('never lets markup of a workspace through as markup', async () => {
    box.answer = (_, response) =>
      response
        .writeHead(500, { 'content-type': 'text/html', 'set-cookie': 'a=b', location: '/x' })
        .end('<script>alert(1)</script>')
    const answer = await call(workspace.id)
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.headers.get('location')).toBeNull()
  })

  it('requires a credential of this workspace or of the operator', async () => {
    const other = await platform.onlineWorkspace(box.url)
    const path = `/workspaces/${workspace.id}/chat/download?path=/workspace/a.txt`
    const refusals = [
      [null, 'missing workspace auth token'],
      ['nonsense', 'invalid workspace auth token'],
      [other.authToken, 'invalid workspace auth token'],
      [workspace.inboundSecret, 'invalid workspace auth token'],
    ] as const
    for (const [as, error] of refusals) {
      const answer = await platform.request(path, { as })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ error })
    }
    for (const as of [workspace.authToken, ADMIN_TOKEN]) {
      expect((await platform.request(path, { as })).status).toBe(200)
    }
  })
})

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

describe('GET /workspaces/:id/chat/download', () => {
  const refused = [
    ['', 'path query required', 'path_required'],
    ['workspace/foo', 'path must be absolute', 'path_not_absolute'],
    ['./foo', 'path must be absolute', 'path_not_absolute'],
    [
      '/etc/passwd',
      'path must be under /configs, /workspace, /home, or /plugins',
      'path_outside_roots',
    ],
    [
      '/workspaceX/foo',
      'path must be under /configs, /workspace, /home, or /plugins',
      'path_outside_roots',
    ],
    [
      '/workspace-evil/foo',
      'path must be under /configs, /workspace, /home, or /plugins',
      'path_outside_roots',
    ],
    ['/', 'path must be under /configs, /workspace, /home, or /plugins', 'path_outside_roots'],
    ['/workspace/../etc/passwd', 'invalid path', 'invalid_path'],
    ['/workspace//foo', 'invalid path', 'invalid_path'],
    ['/workspace/./foo', 'invalid path', 'invalid_path'],
    ['/workspace/foo/', 'invalid path', 'invalid_path'],
    ['/workspace/a\u0000b', 'invalid path', 'invalid_path'],
    [`/workspace/${'x'.repeat(256)}`, 'invalid path', 'invalid_path'],
    [`/workspace/${'x/'.repeat(2100)}x`, 'invalid path', 'invalid_path'],
    ['/workspace', 'path is not a regular file', 'not_a_regular_file'],
  ] as const

  it.each(refused)('refuses %j before it looks at the database', async (path, error, code) => {
    const answer = await download(UNKNOWN, path)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error, code, hop: 'platform' })
    expect(box.requests).toHaveLength(0)
  })

  it('refuses a missing, a repeated and an undecodable path', async () => {
    const base = `/workspaces/${workspace.id}/chat/download`
    const cases = [
      ['', 'path query required'],
      ['?other=1', 'path query required'],
      ['?path=/workspace/a&path=/workspace/b', 'invalid path'],
      ['?path=/workspace/%ff', 'invalid path'],
      ['?path=/workspace/%zz', 'invalid path'],
    ] as const
    for (const [query, error] of cases) {
      const answer = await platform.request(`${base}${query}`)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ error })
    }
  })

  it.each(['/configs/.auth_token', '/configs/.platform_inbound_secret'])(
    'does not admit that %s exists',
    async (path) => {
      const answer = await download(workspace.id, path)
      expect(answer.status).toBe(404)
      expect(await answer.json()).toMatchObject({ error: 'file not found' })
      expect(box.requests).toHaveLength(0)
    },
  )

  it.each(['/workspace/a..b.txt', '/workspace/100% & more+?#.txt', '/home/報告書.pdf'])(
    'asks the workspace for exactly %s',
    async (path) => {
      await download(workspace.id, path)
      const url = new URL(box.requests[0]?.url ?? '', 'http://box')
      expect(url.pathname).toBe('/internal/file/read')
      expect(url.searchParams.getAll('path')).toEqual([path])
      expect(box.requests[0]?.headers.authorization).toBe(`Bearer ${workspace.inboundSecret}`)
    },
  )

  it('builds the headers of the file itself and keeps only lengths and validators', async () => {
    box.answer = (_, response) =>
      response
        .writeHead(200, {
          'content-type': 'text/html',
          'content-disposition': 'inline',
          'content-length': '5',
          etag: '"e"',
          'accept-ranges': 'bytes',
          'last-modified': 'Sat, 21 Nov 2026 00:00:00 GMT',
          'set-cookie': 'a=b',
          'content-security-policy': "default-src '*'",
          'access-control-allow-origin': '*',
        })
        .end('hello')
    const answer = await download(workspace.id, '/workspace/bericht "ä".txt')
    expect(await answer.text()).toBe('hello')
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': `attachment; filename="bericht \\"_\\".txt"; filename*=UTF-8''bericht%20%22%C3%A4%22.txt`,
      'content-length': '5',
      etag: '"e"',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
      'cache-control': 'private, no-store',
      'x-frame-options': 'DENY',
    })
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  it.each(['page.html', 'x.svg', 'e.js', 'e.mjs', 's.css', 'd.pdf', 'w.wasm', 'noextension'])(
    'serves %s as octet-stream',
    async (name) => {
      const answer = await download(workspace.id, `/workspace/${name}`)
      expect(answer.headers.get('content-type')).toBe('application/octet-stream')
    },
  )

  it('passes ranges and conditions on and 206, 304 and 416 back', async () => {
    box.answer = (request, response) => {
      if (request.headers['if-none-match'] !== undefined) {
        response.writeHead(304, { etag: '"e"' }).end()
      } else if (request.headers.range === 'bytes=90-') {
        response.writeHead(416, { 'content-range': 'bytes */10' }).end()
      } else {
        response
          .writeHead(206, { 'content-range': 'bytes 2-3/10', 'content-length': '2' })
          .end('cd')
      }
    }
    const partial = await download(workspace.id, '/workspace/a.txt', {
      headers: { range: 'bytes=2-3', 'if-range': '"e"' },
    })
    expect([partial.status, await partial.text()]).toEqual([206, 'cd'])
    expect(partial.headers.get('content-range')).toBe('bytes 2-3/10')
    expect(box.requests[0]?.headers).toMatchObject({ range: 'bytes=2-3', 'if-range': '"e"' })
    const fresh = await download(workspace.id, '/workspace/a.txt', {
      headers: { 'if-none-match': '"e"' },
    })
    expect([fresh.status, fresh.headers.get('etag')]).toEqual([304, '"e"'])
    const outside = await download(workspace.id, '/workspace/a.txt', {
      headers: { range: 'bytes=90-' },
    })
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, 'bytes */10'])
  })

  it('answers HEAD with the length and without a body', async () => {
    box.answer = (_, response) => response.writeHead(200, { 'content-length': '5' }).end()
    const answer = await download(workspace.id, '/workspace/a.txt', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '5'])
    expect(await answer.text()).toBe('')
    expect(box.requests[0]?.method).toBe('HEAD')
  })

  it('refuses to be a service worker', async () => {
    const answer = await download(workspace.id, '/workspace/sw.js', {
      headers: { 'service-worker': 'script' },
    })
    expect(answer.status).toBe(403)
    expect(box.requests).toHaveLength(0)
  })

  it('breaks the connection when the workspace dies in mid-body', async () => {
    box.answer = (_, response) => {
      response.writeHead(200, { 'content-length': '1000000' })
      response.write('x'.repeat(1000), () => response.destroy())
    }
    const answer = await download(workspace.id, '/workspace/a.txt')
    expect(answer.status).toBe(200)
    await expect(answer.arrayBuffer()).rejects.toThrow()
  })

  it('lets go of the workspace when the client goes away', async () => {
    let isClosed = false
    box.answer = (_, response) => {
      response.writeHead(200)
      response.write('x')
      response.on('close', () => {
        isClosed = true
      })
    }
    const client = new AbortController()
    const answer = await download(workspace.id, '/workspace/a.txt', { signal: client.signal })
    expect(answer.status).toBe(200)
    client.abort()
    await eventually(() => isClosed)
  })
})
