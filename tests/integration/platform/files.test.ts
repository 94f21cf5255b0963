/** Looking into a workspace: what is refused by its text, what goes on, and what comes back (ADR-0041). */
import { describe, expect, it } from 'vitest'
import { ApiReference, type ReferenceDocument } from '../../support/api-reference.ts'
import { eventually } from '../../support/eventually.ts'
import {
  box,
  expectUntouched,
  inspect,
  inspectPath,
  provideInspectedWorkspace,
  UNKNOWN,
  workspace,
} from '../../support/inspection-api.ts'
import { platform } from '../../support/shared-platform.ts'

provideInspectedWorkspace()

const FOLDER_ROUTES = ['files', 'files/archive'] as const
const FILE_ROUTES = ['files/preview', 'files/download'] as const
const ROUTES = [...FOLDER_ROUTES, ...FILE_ROUTES]

const REFUSED_PATHS = [
  ['', 'path_required'],
  ['workspace/foo', 'path_not_absolute'],
  ['/etc/passwd', 'path_outside_roots'],
  ['/workspaceX/foo', 'path_outside_roots'],
  ['/', 'path_outside_roots'],
  ['/workspace/../etc/passwd', 'invalid_path'],
  ['/workspace//foo', 'invalid_path'],
  ['/workspace/./foo', 'invalid_path'],
  ['/workspace/foo/', 'invalid_path'],
  ['/workspace/', 'invalid_path'],
  ['/workspace/a\u0000b', 'invalid_path'],
  [`/workspace/${'x'.repeat(256)}`, 'invalid_path'],
  [`/workspace/${'x/'.repeat(2100)}x`, 'invalid_path'],
] as const

const HIDDEN = [
  '/configs/.auth_token',
  '/configs/.platform_inbound_secret',
  '/configs/.Platform_Inbound_Secret.former',
  '/workspace/.up-0123456789abcdef01234567.part',
  '/home/.up-0123456789abcdef01234567.list/a',
]

const QUERIES = [
  ['files', 'limit=0', 'limit must be a whole number from 1 to 1000'],
  ['files', 'limit=1001', 'limit must be a whole number from 1 to 1000'],
  ['files', 'limit=1&limit=2', 'limit must be given once'],
  ['files', 'limit=%ff', 'limit cannot be decoded'],
  ['files', 'cursor=', 'cursor must be the next_cursor of a page of this folder'],
  ['files', 'cursor=a%2Fb', 'cursor must be the next_cursor of a page of this folder'],
  ['files/preview', 'offset=-1', 'offset must be a whole number from 0 to 9007199254740991'],
  ['files/preview', 'limit=1048577', 'limit must be a whole number from 1 to 1048576'],
  ['files/preview', 'tail=1&offset=0', 'tail goes without offset and limit'],
  ['files/archive', 'format=rar', 'format must be one of tar, tar.gz, zip'],
  ['files/archive', 'format=tar&format=zip', 'format must be given once'],
] as const

type Refusal = { readonly status: number; readonly code: string; readonly error?: string }

/** Refused without asking the database, which does not know the one, nor the other workspace. */
async function expectRefused(rest: string, { status, ...refusal }: Refusal): Promise<void> {
  for (const id of [UNKNOWN, workspace.id]) {
    const answer = await inspect(id, rest)
    const told = { ...refusal, hop: 'platform', retryable: false }
    expect([rest, answer.status, await answer.json()]).toEqual([
      rest,
      status,
      expect.objectContaining(told),
    ])
  }
  expectUntouched()
}

const withPath = (route: string, path: string) => `${route}?${new URLSearchParams({ path })}`

describe.each(ROUTES)('GET /workspaces/:id/%s', (route) => {
  it('refuses by the text of a path, before anybody is asked', async () => {
    for (const [path, code] of REFUSED_PATHS) {
      await expectRefused(withPath(route, path), { status: 400, code })
    }
    for (const [query, code] of [
      ['', 'path_required'],
      ['?path=/workspace/a&path=/workspace/b', 'invalid_path'],
      ['?path=/workspace/%ff', 'invalid_path'],
    ] as const) {
      await expectRefused(route + query, { status: 400, code })
    }
  })

  it('does not admit that what is hidden exists', async () => {
    for (const path of HIDDEN) {
      const refusal = { status: 404, code: 'file_not_found', error: 'file not found' }
      await expectRefused(withPath(route, path), refusal)
    }
  })

  it('passes what the workspace says of the path through, as JSON or as text', async () => {
    box.answer = (_, response) =>
      response
        .writeHead(404, { 'content-type': 'application/json', 'set-cookie': 'a=b' })
        .end('{"error":"file not found","code":"file_not_found","hop":"workspace"}')
    const told = await inspectPath(workspace.id, route, { path: '/workspace/a' })
    expect([told.status, told.headers.get('set-cookie')]).toEqual([404, null])
    expect(await told.json()).toMatchObject({ code: 'file_not_found', hop: 'workspace' })
    box.answer = (_, response) =>
      response.writeHead(500, { 'content-type': 'text/html' }).end('<script>alert(1)</script>')
    const markup = await inspectPath(workspace.id, route, { path: '/workspace/a' })
    expect([markup.status, markup.headers.get('content-type')]).toEqual([
      500,
      'text/plain; charset=utf-8',
    ])
  })

  it('answers HEAD without a body, by asking for HEAD', async () => {
    box.answer = (_, response) => response.writeHead(200).end()
    const answer = await inspectPath(
      workspace.id,
      route,
      { path: '/workspace/a' },
      { method: 'HEAD' },
    )
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(box.requests.map((each) => each.method)).toEqual(['HEAD'])
  })

  it('has nobody to ask for a workspace that polls and has no address', async () => {
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    try {
      const answer = await inspectPath(workspace.id, route, { path: '/workspace/a' })
      const refusal = expect.objectContaining({ code: 'workspace_url_missing' })
      expect([answer.status, await answer.json()]).toEqual([503, refusal])
      expect(box.requests).toHaveLength(0)
    } finally {
      await platform.client.sql`
        UPDATE workspaces SET delivery_mode = 'push' WHERE id = ${workspace.id}`
    }
  })

  it('tells another workspace nothing', async () => {
    const other = await platform.onlineWorkspace(box.url)
    const asked = { path: '/workspace/a' }
    const answer = await inspectPath(workspace.id, route, asked, { as: other.authToken })
    expect([answer.status, box.requests.length]).toEqual([401, 0])
    const own = await inspectPath(workspace.id, route, asked, { as: workspace.authToken })
    expect([own.status, box.requests.length]).toEqual([200, 1])
  })
})

describe('queries of the inspector', () => {
  it('are refused in words of their own, before anybody is asked', async () => {
    for (const [route, query, error] of QUERIES) {
      const refusal = { status: 400, code: 'invalid_query', error }
      await expectRefused(`${route}?path=/workspace/a&${query}`, refusal)
    }
  })

  it('that want to see a file know that a root is none', async () => {
    for (const route of FILE_ROUTES) {
      const refusal = { status: 400, code: 'not_a_regular_file' }
      await expectRefused(withPath(route, '/workspace'), refusal)
    }
  })

  it.each([
    ['files', { path: '/workspace' }, 'list', { limit: '1000' }],
    ['files', { path: '/home/a b+%', limit: '007', cursor: 'eA' }, 'list', { limit: '7' }],
    ['files/preview', { path: '/home/ä' }, 'preview', { offset: '0', limit: '262144' }],
    ['files/preview', { path: '/home/a', tail: '10' }, 'preview', { tail: '10' }],
    ['files/archive', { path: '/plugins' }, 'archive', { format: 'tar' }],
    ['files/archive', { path: '/home/x', format: 'zip' }, 'archive', { format: 'zip' }],
  ] as const)('%s asked for %j goes on as understood', async (route, asked, operation, sent) => {
    await inspectPath(workspace.id, route, { ...asked, session: 'abcdef0', other: 'x' })
    const url = new URL(box.requests[0]?.url ?? '', 'http://box')
    expect(url.pathname).toBe(`/internal/file/${operation}`)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      path: asked.path,
      ...('cursor' in asked ? { cursor: asked.cursor } : {}),
      ...sent,
    })
    expect(box.requests[0]?.headers.authorization).toBe(`Bearer ${workspace.inboundSecret}`)
  })
})

describe('answers to the inspector', () => {
  it('are described by the reference', async () => {
    const document = (await (await platform.request('/openapi.json')).json()) as ReferenceDocument
    const reference = new ApiReference(document)
    const entry = { name: 'a', type: 'file', size: 1, mtime: 2, mode: 0o644 }
    const page = { path: '/workspace', entries: [entry], truncated: true, next_cursor: 'YQ' }
    const part = { path: '/home/a', size: 1, offset: 0, next_offset: 1, truncated: false }
    const preview = { ...part, binary: true, encoding: null, text: null, lines: null, version: '1' }
    for (const [route, body] of [
      ['files', page],
      ['files/preview', preview],
    ] as const) {
      const operation = { method: 'GET', path: `/workspaces/:id/${route}` }
      expect(reference.problemOf(operation, { status: 200, body })).toBeUndefined()
      expect(reference.problemOf(operation, { status: 200, body: {} })).toBeDefined()
    }
  })

  it.each([
    ['files', {}, 'application/json', null],
    ['files/preview', {}, 'application/json', null],
    ['files/archive', {}, 'application/x-tar', 'src.tar'],
    ['files/archive', { format: 'tar.gz' }, 'application/gzip', 'src.tar.gz'],
    ['files/archive', { format: 'zip' }, 'application/zip', 'src.zip'],
  ] as const)('%s %j have headers of our own', async (route, asked, type, name) => {
    box.answer = (_, response) =>
      response
        .writeHead(200, {
          'content-type': 'text/html',
          'content-disposition': 'inline; filename="evil.html"',
          'content-security-policy': "default-src '*'",
          'set-cookie': 'a=b',
          'access-control-allow-origin': '*',
        })
        .end('{}')
    const answer = await inspectPath(workspace.id, route, { path: '/workspace/src', ...asked })
    const disposition =
      name === null ? null : `attachment; filename="${name}"; filename*=UTF-8''${name}`
    expect(await answer.text()).toBe('{}')
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('content-disposition')).toBe(disposition)
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
      'cache-control': 'private, no-store',
    })
  })

  it('name the archive of a root after it', async () => {
    const answer = await inspectPath(workspace.id, 'files/archive', { path: '/configs' })
    expect(answer.headers.get('content-disposition')).toContain('filename="configs.tar"')
  })

  it('break with the archive', async () => {
    box.answer = (_, response) => {
      response.writeHead(200)
      response.write('x'.repeat(1000), () => response.destroy())
    }
    const answer = await inspectPath(workspace.id, 'files/archive', { path: '/workspace' })
    expect(answer.status).toBe(200)
    await expect(answer.arrayBuffer()).rejects.toThrow()
  })

  it('end in the workspace when the client of an archive goes away', async () => {
    let isClosed = false
    box.answer = (_, response) => {
      response.writeHead(200)
      const pour = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', pour).on('close', () => {
        isClosed = true
      })
      pour()
    }
    const client = new AbortController()
    const answer = await inspectPath(
      workspace.id,
      'files/archive',
      { path: '/workspace' },
      { signal: client.signal },
    )
    expect(answer.status).toBe(200)
    client.abort()
    await eventually(() => isClosed, 3_000)
  })
})
