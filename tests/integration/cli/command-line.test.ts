import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readBody, sendJson } from '../../support/stand-in-platform.ts'
import { cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'
import { atrium, endServedPlatforms, serve } from './served-platform.ts'

endServedPlatforms()

describe('a wrong command line', () => {
  it.each([
    ['an unknown command', ['workspaces', 'nonsense'], "unknown command 'nonsense'"],
    ['an unknown option', ['workspaces', 'ls', '--al'], "unknown option '--al'"],
    ['a missing argument', ['upload'], "missing required argument 'workspace'"],
    ['a wrong number', ['workspaces', 'ls', '--timeout', '0'], '--timeout wants a positive'],
    ['no command', [], 'no command was given'],
  ])('ends with 2 and is JSON with --json: %s', async (_what, args, text) => {
    const run = await atrium([...args, '--json'])
    expect([run.exitCode, run.stdout]).toEqual([2, ''])
    const [line, ...rest] = run.stderr.split('\n')
    expect(rest).toEqual([''])
    expect(JSON.parse(line ?? '')).toEqual({
      error: expect.stringContaining(text),
      exit_code: 2,
    })
  })

  it('is explained to people', async () => {
    const run = await atrium(['workspaces', 'nonsense'])
    expect([run.exitCode, run.stderr]).toEqual([2, "error: unknown command 'nonsense'\n"])
    expect((await atrium([])).stderr).toContain('Usage: atrium')
  })
})

describe('atrium --version', () => {
  it('prints the version and nothing else', async () => {
    const run = await atrium(['--version'])
    expect([run.exitCode, run.stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)])
  })
})

describe('credentials', () => {
  const upload = ['upload', WORKSPACE_ID, '/proc/version']

  it('mints one test token per invocation when nothing is set', async () => {
    const server = await serve(async ({ request, response, line }) => {
      if (line.endsWith('/test-token')) {
        return sendJson(response, { auth_token: 'minted-token', workspace_id: WORKSPACE_ID })
      }
      await readBody(request)
      const parts = [1, 2].map((n) => ({
        kind: 'file',
        file: { uri: `workspace:/workspace/${n}`, name: `${n}` },
      }))
      if (line.endsWith('/a2a')) {
        return sendJson(response, { jsonrpc: '2.0', id: 1, result: { kind: 'message', parts } })
      }
      response.end('content')
    })
    const folder = await temporaryFolder()
    try {
      const run = await atrium(['send', WORKSPACE_ID, 'hi', '--out', folder.path])
      expect(run.exitCode).toBe(0)
      expect(server.seen.map(({ line }) => line.split('/').at(-1))).toEqual([
        'test-token',
        'a2a',
        'download',
        'download',
      ])
      expect(server.seen[3]?.headers.authorization).toBe('Bearer minted-token')
      expect(run.stdout + run.stderr).not.toContain('minted-token')
    } finally {
      await folder.remove()
    }
  })

  it('ends with 4 when the platform mints for nobody, with 3 when there is no such workspace', async () => {
    let body: object = { error: 'not found', code: 'not_found', retryable: false }
    await serve(({ response }) => sendJson(response, body, 404))
    const folder = await temporaryFolder()
    try {
      await writeFile(join(folder.path, 'a'), 'x')
      const args = ['upload', WORKSPACE_ID, join(folder.path, 'a')]
      expect((await atrium(args)).exitCode).toBe(4)
      body = { error: 'workspace not found', code: 'workspace_not_found', retryable: false }
      expect((await atrium(args)).exitCode).toBe(3)
    } finally {
      await folder.remove()
    }
  })

  it('refuses a token that cannot stand in a header, without quoting it', async () => {
    await serve(({ response }) => sendJson(response, {}))
    const run = await atrium(upload, { ATRIUM_TOKEN: 'line\nbreak-token' })
    expect(run.exitCode).toBe(2)
    expect(run.stderr).not.toContain('break-token')
  })
})

describe('which platform', () => {
  it('finds the one that runs out of the project, while its process lives', async () => {
    const server = await serve(({ response }) => sendJson(response, []))
    const folder = await temporaryFolder()
    try {
      await mkdir(join(folder.path, '.atrium'))
      const record = JSON.stringify({ url: server.url, pid: 4242 })
      await writeFile(join(folder.path, '.atrium', 'platform.json'), record)
      const options = { projectRoot: folder.path, alivePids: [4242] }
      expect((await cli(['workspaces', 'ls'], options)).exitCode).toBe(0)
      expect(server.seen).toHaveLength(1)
      const inDataDir = {
        env: { ATRIUM_DATA_DIR: join(folder.path, '.atrium') },
        alivePids: [4242],
      }
      expect((await cli(['workspaces', 'ls'], inDataDir)).exitCode).toBe(0)
      await cli(['workspaces', 'ls'], { projectRoot: folder.path })
      expect(server.seen).toHaveLength(2)
    } finally {
      await folder.remove()
    }
  })

  it('does not send anything to an address elsewhere that a file names', async () => {
    const folder = await temporaryFolder()
    try {
      await mkdir(join(folder.path, '.atrium'))
      const record = JSON.stringify({ url: 'http://evil.example:1' })
      await writeFile(join(folder.path, '.atrium', 'platform.json'), record)
      const env = { ADMIN_TOKEN: 'the-admin-token' }
      const run = await cli(['workspaces', 'ls'], { projectRoot: folder.path, env })
      expect(run.stderr).not.toContain('evil.example')
    } finally {
      await folder.remove()
    }
  })

  it.each(['ftp://127.0.0.1', 'not a url', 'http://user:word@127.0.0.1/'])(
    'refuses %s',
    async (url) => {
      const run = await cli(['--url', url, 'workspaces', 'ls'])
      expect(run.exitCode).toBe(2)
      expect(run.stderr).not.toContain('word@')
    },
  )

  it('keeps a base path', async () => {
    const server = await serve(({ response }) => sendJson(response, []))
    await cli(['workspaces', 'ls', '--url', `${server.url}/atrium/`])
    expect(server.seen[0]?.line).toBe('GET /atrium/workspaces')
  })
})

describe('the command line', () => {
  it.each([
    [[], 2],
    [['--help'], 0],
    [['send', '--help'], 0],
    [['nonsense'], 2],
    [['workspaces', 'ls', '--nonsense'], 2],
    [['upload', WORKSPACE_ID], 2],
    [['workspaces', 'logs', WORKSPACE_ID, '--tail', 'many'], 2],
    [['workspaces', 'create', 'x', '--arg', 'y'], 2],
  ])('ends %j with %i', async (args, exitCode) => {
    expect((await cli(args)).exitCode).toBe(exitCode)
  })
})
