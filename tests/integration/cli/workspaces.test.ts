import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readBody, sendJson } from '../../support/stand-in-platform.ts'
import { cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'
import { atrium, endServedPlatforms, platform, serve } from './served-platform.ts'

const ROW = { id: WORKSPACE_ID, name: 'hello', status: 'online', runtime: 'echo', url: null }
const OTHER = { ...ROW, id: '91bc0000-0000-4000-8000-000000000002', name: 'other' }

endServedPlatforms()

describe('atrium workspaces ls', () => {
  it('prints a table for people and the rows for programs', async () => {
    await serve(({ response }) => sendJson(response, [ROW, OTHER]))
    const table = await atrium(['workspaces', 'ls'])
    expect(table.stdout.split('\n')[0]).toMatch(/^ID +NAME +STATUS +RUNTIME$/)
    expect(table.stdout).toContain('hello  online  echo')
    const json = await atrium(['workspaces', 'ls', '--json'])
    expect(JSON.parse(json.stdout)).toEqual([ROW, OTHER])
  })

  it('sends ADMIN_TOKEN when there is one and nothing otherwise', async () => {
    const server = await serve(({ response }) => sendJson(response, []))
    await atrium(['workspaces', 'ls'])
    await atrium(['workspaces', 'ls'], { ADMIN_TOKEN: 'the-admin-token' })
    await atrium(['workspaces', 'ls'], { ATRIUM_TOKEN: 'a-workspace-token' })
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      'Bearer the-admin-token',
      undefined,
    ])
  })

  it('ends with 4 and a hint when a token is wanted, and prints no token', async () => {
    await serve(({ response }) => {
      sendJson(response, { error: 'invalid admin auth token', retryable: false }, 401)
    })
    const run = await atrium(['workspaces', 'ls'], { ADMIN_TOKEN: 'wrong-admin-token' })
    expect(run.exitCode).toBe(4)
    expect(run.stderr).toContain('ADMIN_TOKEN')
    expect(run.stdout + run.stderr).not.toContain('wrong-admin-token')
  })

  it('ends with 5 when nobody listens', async () => {
    const server = await serve(({ response }) => sendJson(response, []))
    await server.close()
    const run = await atrium(['workspaces', 'ls'])
    expect(run.exitCode).toBe(5)
    expect(run.stderr).toContain('no platform answers at')
  })
})

describe('atrium workspaces create', () => {
  it('sends the command of an exec workspace and waits until it is online', async () => {
    let body: unknown
    let looks = 0
    await serve(async ({ request, response, line }) => {
      if (line === 'POST /workspaces') {
        body = JSON.parse(String(await readBody(request)))
        return sendJson(response, { id: WORKSPACE_ID, status: 'provisioning' }, 201)
      }
      looks += 1
      return sendJson(response, { ...ROW, status: looks < 4 ? 'provisioning' : 'online' })
    })
    const args = [
      'workspaces',
      'create',
      'hello',
      '--runtime',
      'exec',
      '--command',
      '/usr/bin/node',
    ]
    const run = await atrium([
      ...args,
      '--arg',
      'tool.mjs',
      '--arg=--fast',
      '--command-timeout',
      '9',
    ])
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toMatch(new RegExp(`^${WORKSPACE_ID} {2}online after `))
    expect(run.stderr).toContain('hello: provisioning')
    expect(body).toEqual({
      name: 'hello',
      runtime: 'exec',
      runtime_config: { command: '/usr/bin/node', args: ['tool.mjs', '--fast'], timeout: 9 },
    })
  })

  it('fails with the reason, which stands in the list of the admin', async () => {
    await serve(({ response, line }) => {
      if (line === 'POST /workspaces') return sendJson(response, { id: WORKSPACE_ID }, 201)
      const failed = { ...ROW, status: 'failed' }
      if (line === 'GET /workspaces') {
        return sendJson(response, [{ ...failed, last_sample_error: 'workspace start failed' }])
      }
      return sendJson(response, failed)
    })
    const run = await atrium(['workspaces', 'create', 'hello'])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('failed: workspace start failed')
    expect(run.stderr).toContain(`atrium workspaces logs ${WORKSPACE_ID}`)
  })

  it('gives up with 5 when it takes longer than --timeout', async () => {
    await serve(({ response, line }) => {
      if (line === 'POST /workspaces') return sendJson(response, { id: WORKSPACE_ID }, 201)
      return sendJson(response, { ...ROW, status: 'provisioning' })
    })
    const run = await atrium(['workspaces', 'create', 'hello', '--timeout', '3'])
    expect(run.exitCode).toBe(5)
  })

  it('returns the id at once with --no-wait', async () => {
    const server = await serve(({ response }) => sendJson(response, { id: WORKSPACE_ID }, 201))
    const run = await atrium(['workspaces', 'create', 'hello', '--no-wait', '--quiet'])
    expect([run.stdout, run.stderr]).toEqual([`${WORKSPACE_ID}\n`, ''])
    expect(server.seen).toHaveLength(1)
  })
})

describe('atrium workspaces create --runtime external', () => {
  const connection = { auth_token: 'token-of-the-laptop', platform_url: 'x' }
  const created = { id: WORKSPACE_ID, status: 'awaiting_agent', connection }

  it('keeps the token in a new file for its user, and nowhere else', async () => {
    const folder = await temporaryFolder()
    try {
      await serve(({ response }) => sendJson(response, created, 201))
      const args = ['workspaces', 'create', 'laptop', '--runtime', 'external', '--token-file', 't']
      const run = await cli(args, { env: { ATRIUM_URL: platform?.url ?? '' }, cwd: folder.path })
      expect([run.exitCode, run.stdout]).toEqual([0, `${WORKSPACE_ID}\n`])
      expect(run.stderr).toContain(`next: atrium connect ${WORKSPACE_ID} --token-file t`)
      expect(run.stdout + run.stderr).not.toContain('token-of-the-laptop')
      const file = join(folder.path, 't')
      expect(await readFile(file, 'utf8')).toBe('token-of-the-laptop\n')
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      const again = await cli(args, { env: { ATRIUM_URL: platform?.url ?? '' }, cwd: folder.path })
      expect(again.exitCode).toBe(2)
      expect(platform?.seen).toHaveLength(1)
    } finally {
      await folder.remove()
    }
  })

  it('creates nothing whose token would be lost; --json prints it', async () => {
    const server = await serve(({ response }) => sendJson(response, created, 201))
    const args = ['workspaces', 'create', 'laptop', '--runtime', 'external']
    expect((await atrium(args)).exitCode).toBe(2)
    expect(server.seen).toEqual([])
    expect(JSON.parse((await atrium([...args, '--json'])).stdout)).toEqual(created)
  })
})

describe('atrium workspaces rm', () => {
  it('finds by name, and purges unless told not to', async () => {
    const queries: string[] = []
    await serve(({ response, line, url }) => {
      if (line === 'GET /workspaces') return sendJson(response, [ROW, OTHER])
      queries.push(`${line}${url.search}`)
      return sendJson(response, { status: 'purged', cascade_deleted: 0 })
    })
    expect((await atrium(['workspaces', 'rm', 'hello', '91bc'])).exitCode).toBe(0)
    await atrium(['workspaces', 'rm', WORKSPACE_ID, '--cascade', '--no-purge'])
    expect(queries).toEqual([
      `DELETE /workspaces/${WORKSPACE_ID}?purge=true`,
      `DELETE /workspaces/${OTHER.id}?purge=true`,
      `DELETE /workspaces/${WORKSPACE_ID}?confirm=true`,
    ])
  })

  it('does not remove what is below a workspace without being told', async () => {
    await serve(({ response }) => {
      sendJson(response, { error: 'workspace has children', status: 'confirmation_required' }, 409)
    })
    const run = await atrium(['workspaces', 'rm', WORKSPACE_ID])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('--cascade')
  })

  it('says as JSON what was removed before the one that failed', async () => {
    await serve(({ response, line }) => {
      if (line === 'GET /workspaces') return sendJson(response, [ROW])
      return sendJson(response, { status: 'purged', cascade_deleted: 0 })
    })
    const run = await atrium(['workspaces', 'rm', 'hello', 'nobody', '--json'])
    expect(run.exitCode).toBe(3)
    expect(JSON.parse(run.stdout)).toEqual([
      { id: WORKSPACE_ID, status: 'purged', cascade_deleted: 0 },
    ])
  })

  it('ends with 3 for a workspace that is not there', async () => {
    await serve(({ response }) => sendJson(response, [ROW]))
    expect((await atrium(['workspaces', 'rm', 'nobody'])).exitCode).toBe(3)
  })
})

describe('atrium workspaces logs', () => {
  it('prints the last lines, disarmed on a terminal', async () => {
    await serve(({ response }) =>
      sendJson(response, { output: 'one\n\u001b[31mtwo\u001b[0m\nthree\n' }),
    )
    const args = ['workspaces', 'logs', WORKSPACE_ID, '--tail', '2']
    const run = await cli(args, { env: { ATRIUM_URL: platform?.url ?? '' }, isTTY: true })
    expect(run.stdout).toBe('two\nthree\n')
  })

  it('follows what is added until interrupted', async () => {
    const outputs = ['a\nb\n', 'a\nb\nc\n', 'b\nc\nd\n']
    const interrupt = new AbortController()
    await serve(({ response }) => {
      const output = outputs.shift()
      if (output === undefined) interrupt.abort()
      sendJson(response, { output: output ?? '' })
    })
    const run = await cli(['workspaces', 'logs', WORKSPACE_ID, '--follow'], {
      env: { ATRIUM_URL: platform?.url ?? '' },
      signal: interrupt.signal,
    })
    expect(run.exitCode).toBe(130)
    expect(run.stdout).toBe('a\nb\nc\nd\n')
  })
})
