/** The errors of contract/platform 6.1 for agents that run elsewhere, as errors.test.ts has the rest. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ExpectedFailure, expectFailure } from '../support/expect-failure.ts'
import { form, postForm } from '../support/form-body.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { send } from '../support/raw-client.ts'
import { recordSecret } from '../support/secret-ledger.ts'

let platform: PlatformProcess

beforeAll(async () => {
  platform = await startPlatform({ env: { ATRIUM_HEADERS_TIMEOUT_MS: '3000' } })
})
afterAll(async () => {
  await platform.stop()
})

const at = (path: string) => new URL(path, platform.url)

describe('a workspace that is not there (contract/platform 6.1)', () => {
  type External = { readonly id: string; readonly token: string }
  let server: Server
  let listener: RequestListener
  let serverUrl: string

  beforeAll(async () => {
    server = createServer((request, response) => listener(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
    serverUrl = `http://127.0.0.1:${address.port}`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  /** An agent that somebody runs elsewhere, by its address or without one. */
  async function createExternal(url?: string): Promise<External> {
    const created = await postJson('/workspaces', { name: 'elsewhere', external: true, url })
    const id = String(created['id'])
    const minted: unknown = await (await fetch(at(`/admin/workspaces/${id}/test-token`))).json()
    const { auth_token: token } = minted as { auth_token: string }
    recordSecret(token)
    const connection = created['connection'] as { auth_token: string } | undefined
    if (connection !== undefined) recordSecret(connection.auth_token)
    return { id, token }
  }

  async function postJson(path: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await fetch(at(path), {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
    return (await answer.json()) as Record<string, unknown>
  }

  async function bothWays(external: External, expected: ExpectedFailure): Promise<void> {
    const headers = { authorization: `Bearer ${external.token}` }
    const base = `/workspaces/${external.id}/chat`
    expectFailure(await send(at(`${base}/download?path=/workspace/a`), { headers }), expected)
    const target = { url: at(`${base}/uploads`), headers }
    expectFailure(await postForm(target, form([{ fileName: 'a', bytes: 'a' }])), expected)
  }

  /** The first request finds no inbound secret, and it stands in the contract what that means. */
  async function reachable(url: string): Promise<External> {
    const external = await createExternal(url)
    const headers = { authorization: `Bearer ${external.token}` }
    const answer = await send(at(`/workspaces/${external.id}/chat/download?path=/workspace/a`), {
      headers,
    })
    expectFailure(answer, {
      status: 503,
      error: 'workspace inbound secret was just minted; retry in 30 seconds',
      code: 'inbound_secret_minted',
      hop: 'platform',
      retryable: true,
      retryAfter: 30,
    })
    return external
  }

  it('has not said yet where it is', async () => {
    await bothWays(await createExternal(), {
      status: 503,
      error: 'workspace url not registered yet',
      code: 'workspace_url_missing',
      hop: 'platform',
      retryable: true,
      retryAfter: 5,
    })
  })

  it('cannot be reached', async () => {
    // Port 9 of this machine: "discard", which nobody runs any more.
    await bothWays(await reachable('http://127.0.0.1:9'), {
      status: 502,
      error: 'workspace unreachable',
      code: 'workspace_unreachable',
      hop: 'workspace',
      retryable: true,
    })
  })

  it('sends the platform somewhere else', async () => {
    listener = (request, response) => {
      request.resume()
      response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end()
    }
    await bothWays(await reachable(serverUrl), {
      status: 502,
      error: 'workspace answered with a redirect, which is never followed',
      code: 'workspace_redirected',
      hop: 'workspace',
    })
  })

  it('takes the request and says nothing', async () => {
    listener = (request) => request.resume()
    await bothWays(await reachable(serverUrl), {
      status: 504,
      error: 'workspace went silent',
      code: 'workspace_timeout',
      hop: 'workspace',
      retryable: true,
    })
  })
})
