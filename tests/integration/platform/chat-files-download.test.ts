import { describe, expect, it } from 'vitest'
import { box, workspace } from '../../support/boxed-workspace.ts'
import { download, provideChatFiles, UNKNOWN } from '../../support/chat-files-api.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

provideChatFiles()

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
