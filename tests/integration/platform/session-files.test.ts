/** Looking into a session: the contract's refusals in its order, before anybody is asked (20.2, 20.4). */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ApiReference, type ReferenceDocument } from '../../support/api-reference.ts'
import {
  answerJson,
  box,
  expectUntouched,
  inspect,
  inspectPath,
  provideInspectedWorkspace,
  UNKNOWN,
  workspace,
} from '../../support/inspection-api.ts'
import { recordSecret } from '../../support/secret-ledger.ts'
import { platform } from '../../support/shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

provideInspectedWorkspace()

const SESSION = '0a1b2c3'
const OPERATIONS = ['files', 'files/preview', 'files/download'] as const
const below = (operation: string, session = SESSION) => `sessions/${session}/${operation}`

const RELATIVE = 'path must be relative to the workspace'
const CONTROL = 'path contains control characters'
const OUTSIDE = 'path must not traverse outside the workspace'

const REFUSED = [
  ['path=/etc/passwd', 'invalid_path', RELATIVE],
  ['path=%20/etc/passwd', 'invalid_path', RELATIVE],
  ['path=~/x', 'invalid_path', RELATIVE],
  ['path=a%00b', 'invalid_path', CONTROL],
  ['path=a%1fb', 'invalid_path', CONTROL],
  ['path=..', 'invalid_path', OUTSIDE],
  ['path=a/../b', 'invalid_path', OUTSIDE],
  ['path=a&path=b', 'invalid_path', 'path must be given once'],
  ['path=%ff', 'invalid_path', 'invalid path'],
  [`path=${'x'.repeat(256)}`, 'not_found', 'path not found in workspace'],
  [`path=${'x/'.repeat(2_100)}`, 'not_found', 'path not found in workspace'],
  ['path=.up-0123456789abcdef01234567.part', 'not_found', 'path not found in workspace'],
] as const

async function expectRefused(rest: string, refusal: object, status = 400): Promise<void> {
  for (const id of [UNKNOWN, workspace.id]) {
    const answer = await inspect(id, rest)
    expect([rest, answer.status, await answer.json()]).toEqual([
      rest,
      status,
      expect.objectContaining({ ...refusal, hop: 'platform' }),
    ])
  }
  expectUntouched()
}

describe.each(OPERATIONS)('GET /workspaces/:id/sessions/:session_id/%s', (operation) => {
  it('refuses an id that is none, before it looks at the path', async () => {
    for (const session of ['0a1b2c', '0a1b2c34', '0A1B2C3', '0a1b2cg', '0a1b2c3%0a', '..%2f0a1b']) {
      const refusal = { code: 'invalid_session_id' }
      await expectRefused(`${below(operation, session)}?path=/etc/passwd`, refusal)
    }
  })

  it('refuses a path in the words of the contract, before it looks at the rest', async () => {
    for (const [query, code, error] of REFUSED) {
      const status = code === 'not_found' ? 404 : 400
      const rest = query.includes('.up-') ? '' : '&limit=x&offset=x'
      await expectRefused(`${below(operation)}?${query}${rest}`, { code, error }, status)
    }
  })

  it('refuses a query, before it looks at the database', async () => {
    const parameter = operation === 'files' ? 'limit' : 'offset'
    const refusal = { code: 'invalid_query' }
    await expectRefused(`${below(operation)}?path=a&${parameter}=-1`, refusal)
    await expectRefused(`${below(operation)}?path=a&${parameter}=1&${parameter}=1`, refusal)
  })

  it('passes what the workspace says through, and markup as text', async () => {
    const code = 'path_escape'
    box.answer = (_, response) =>
      response
        .writeHead(400, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'path escapes the workspace', code, hop: 'workspace' }))
    const told = await inspectPath(workspace.id, below(operation), { path: 'a' })
    expect([told.status, await told.json()]).toEqual([
      400,
      { error: 'path escapes the workspace', code, hop: 'workspace' },
    ])
    box.answer = (_, response) =>
      response.writeHead(500, { 'content-type': 'text/html' }).end('<b>no</b>')
    const markup = await inspectPath(workspace.id, below(operation), { path: 'a' })
    expect(markup.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  })

  it('answers HEAD without a body', async () => {
    const answer = await inspect(workspace.id, below(operation), { method: 'HEAD' })
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(box.requests.map(({ method }) => method)).toEqual(['HEAD'])
  })

  it('says of a workspace that it is not there', async () => {
    const answer = await inspect(UNKNOWN, below(operation))
    expect([answer.status, await answer.json()]).toEqual([
      404,
      expect.objectContaining({ code: 'workspace_not_found', hop: 'platform' }),
    ])
  })

  it('has headers of its own', async () => {
    box.answer = (_, response) =>
      response
        .writeHead(200, {
          'content-type': 'text/html',
          'content-disposition': 'inline',
          etag: '"x"',
        })
        .end('{}')
    const answer = await inspect(workspace.id, below(operation))
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('content-disposition')).toBeNull()
    expect(answer.headers.get('etag')).toBeNull()
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })
})

describe('a session that is looked into through the runtime', () => {
  it.each([
    ['files', '', 'list', { path: '.', limit: '1000' }],
    ['files', '?path=', 'list', { path: '.', limit: '1000' }],
    [
      'files',
      '?path=./%20a%20/&limit=5&cursor=eA',
      'list',
      { path: './ a /', limit: '5', cursor: 'eA' },
    ],
    [
      'files/preview',
      '?path=%20a%2Bb%20',
      'preview',
      { path: 'a+b', offset: '0', limit: '262144' },
    ],
    ['files/preview', '?path=a..b&tail=9', 'preview', { path: 'a..b', tail: '9' }],
    ['files/download', '?path=x&offset=8&limit=3', 'content', { path: 'x', offset: '8' }],
  ] as const)('%s%s goes on as understood', async (operation, query, route, sent) => {
    await inspect(workspace.id, below(operation) + query)
    const url = new URL(box.requests[0]?.url ?? '', 'http://box')
    expect(url.pathname).toBe(`/internal/file/${route}`)
    expect(Object.fromEntries(url.searchParams)).toEqual({ session: SESSION, ...sent })
    expect(box.requests[0]?.headers.authorization).toBe(`Bearer ${workspace.inboundSecret}`)
  })

  it('has nobody to ask where the workspace polls and has no address', async () => {
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    try {
      const answer = await inspect(workspace.id, below('files'))
      const refusal = expect.objectContaining({ code: 'workspace_url_missing' })
      expect([answer.status, await answer.json()]).toEqual([503, refusal])
      expectUntouched()
    } finally {
      await platform.client.sql`
        UPDATE workspaces SET delivery_mode = 'push' WHERE id = ${workspace.id}`
    }
  })

  it('is answered as the reference says', async () => {
    const document = (await (await platform.request('/openapi.json')).json()) as ReferenceDocument
    const reference = new ApiReference(document)
    const content = { path: 'a', size: 1, offset: 0, truncated: false, version: '1' }
    const body = { ...content, content_base64: 'eA==' }
    answerJson(JSON.stringify(body))
    const answer = await inspectPath(workspace.id, below('files/download'), { path: 'a' })
    const told: unknown = await answer.json()
    const operation = { method: 'GET', path: '/workspaces/:id/sessions/:sessionId/files/download' }
    expect(reference.problemOf(operation, { status: 200, body: told })).toBeUndefined()
    expect(reference.problemOf(operation, { status: 200, body: content })).toBeDefined()
  })
})

describe('a session that is looked into through job control', () => {
  let host: WorkspaceServer
  const TOKEN = `job-control-${randomBytes(12).toString('hex')}`
  recordSecret(TOKEN)

  beforeAll(async () => {
    host = await startWorkspaceServer()
  })
  beforeEach(async () => {
    host.requests.length = 0
    host.answer = (_, response) => response.writeHead(500).end(`<b>no ${TOKEN}</b>`)
    const body = JSON.stringify({ url: `${host.url}/below/`, token: TOKEN })
    const answer = await inspect(workspace.id, 'job-control', { method: 'PUT', body })
    expect(answer.status).toBe(200)
  })
  afterEach(async () => {
    await inspect(workspace.id, 'job-control', { method: 'DELETE' })
  })
  afterAll(async () => {
    await host.close()
  })

  it.each(OPERATIONS)(
    '%s asks the host that is written down, and nobody else',
    async (operation) => {
      const answer = await inspectPath(workspace.id, below(operation), { path: 'a' })
      const text = await answer.text()
      expect([answer.status, JSON.parse(text)]).toEqual([
        502,
        expect.objectContaining({ code: 'shellctl_error', hop: 'workspace' }),
      ])
      expect(text).not.toContain(TOKEN)
      expect(host.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'POST /below/v1/jobs/run',
      ])
      expect(host.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
      expect(box.requests).toHaveLength(0)
    },
  )

  it('needs no address of the workspace', async () => {
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    try {
      expect((await inspect(workspace.id, below('files'))).status).toBe(502)
      expect(host.requests).toHaveLength(1)
    } finally {
      await platform.client.sql`
        UPDATE workspaces SET delivery_mode = 'push' WHERE id = ${workspace.id}`
    }
  })

  it('is refused by its text without asking the host', async () => {
    expect((await inspect(workspace.id, below('files', 'x'))).status).toBe(400)
    expect((await inspectPath(workspace.id, below('files'), { path: '/etc' })).status).toBe(400)
    expect(host.requests).toHaveLength(0)
  })

  it('goes through the runtime again when the host is taken back', async () => {
    await inspect(workspace.id, 'job-control', { method: 'DELETE' })
    expect((await inspect(workspace.id, below('files'))).status).toBe(200)
    expect([box.requests.length, host.requests.length]).toEqual([1, 0])
  })

  it('leaves the other routes to the runtime', async () => {
    expect((await inspectPath(workspace.id, 'files', { path: '/home' })).status).toBe(200)
    expect([box.requests.length, host.requests.length]).toEqual([1, 0])
  })

  it('does not follow the host elsewhere', async () => {
    host.answer = (request, response) =>
      response.writeHead(302, { location: `${host.url}/elsewhere` }).end(request.url)
    expect((await inspect(workspace.id, below('files'))).status).toBe(502)
    expect(host.requests).toHaveLength(1)
  })
})
