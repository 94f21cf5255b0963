import { ConfigError } from '@atrium/http-kit/config-error'
import { describe, expect, it } from 'vitest'
import { parseConfig } from './config.ts'

const PRODUCTION = {
  ADMIN_TOKEN: 'admin-secret',
  DATABASE_URL: 'postgres://u:db-secret@127.0.0.1/x',
  ATRIUM_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
}

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('parseConfig', () => {
  it('is production by default and names everything that is missing at once', () => {
    const problems = problemsOf({})
    expect(problems).toHaveLength(3)
    expect(problems.join()).toMatch(/ADMIN_TOKEN.*DATABASE_URL.*ATRIUM_ENCRYPTION_KEY/)
  })

  it('keeps secrets out of every printed form', () => {
    const config = parseConfig(PRODUCTION)
    expect(JSON.stringify(config.identity) + JSON.stringify(config.database)).not.toMatch(
      /admin-secret|db-secret/,
    )
    expect(config.identity.adminToken?.reveal()).toBe('admin-secret')
  })

  it.each(['two words', ' padded', 'line\n', 'schlüssel'])(
    'refuses the admin token %j, which no header could carry as it is',
    (token) => {
      expect(problemsOf({ ...PRODUCTION, ADMIN_TOKEN: token })).toEqual([
        'ADMIN_TOKEN: must be printable ASCII without spaces or line breaks',
      ])
    },
  )

  it('does not repeat a wrong value, which may be a secret', () => {
    const problems = problemsOf({ ...PRODUCTION, DATABASE_URL: 'mysql://u:pw@h/x', PORT: '99999' })
    expect(problems.join()).toMatch(/DATABASE_URL.*PORT|PORT.*DATABASE_URL/)
    expect(problems.join()).not.toContain('pw')
  })

  it.each([
    'postgres://u:p@h/x',
    'postgresql://u:p%40ss%25@h:5433/x?sslmode=require',
    'postgres://u:p@h1:5432,h2:5433/x',
    'postgres:///x',
  ])('takes the database URL %s', (url) => {
    expect(problemsOf({ ...PRODUCTION, DATABASE_URL: url })).toEqual([])
  })

  it.each(['postgres://u:p%zz@h/x', 'postgres://u:p#q@h/x', 'postgres://u:p@h:99999/x', 'h/x'])(
    'refuses the database URL %s, which no driver can take apart',
    (url) => {
      expect(problemsOf({ ...PRODUCTION, DATABASE_URL: url })).toEqual([
        'DATABASE_URL: must be a postgres:// URL, with the special characters of its password percent-encoded',
      ])
    },
  )

  it.each([
    'ATRIUM_IDLE_TIMEOUT_MS',
    'ATRIUM_HEADERS_TIMEOUT_MS',
    'ATRIUM_START_TIMEOUT_MS',
    'ATRIUM_AGENT_TIMEOUT_MS',
  ])('refuses a %s that no timer can wait for: it would go off at once', (name) => {
    expect(problemsOf({ ...PRODUCTION, [name]: '2147483647' })).toEqual([])
    expect(problemsOf({ ...PRODUCTION, [name]: '2147483648' })).toHaveLength(1)
  })

  it('takes keys of before, in either form, and names a wrong one without repeating it', () => {
    const text = `${'k'.repeat(32)}, ${Buffer.alloc(32, 9).toString('base64')}`
    const config = parseConfig({ ...PRODUCTION, ATRIUM_ENCRYPTION_KEYS_PREVIOUS: text })
    expect(config.previousEncryptionKeys.map((key) => key.toString('latin1'))).toEqual([
      'k'.repeat(32),
      '\t'.repeat(32),
    ])
    expect(parseConfig(PRODUCTION).previousEncryptionKeys).toEqual([])
    const problems = problemsOf({ ...PRODUCTION, ATRIUM_ENCRYPTION_KEYS_PREVIOUS: `${text},short` })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^ATRIUM_ENCRYPTION_KEYS_PREVIOUS: (?!.*short)/)
  })

  it('accepts the encryption key raw or in base64 and nothing else', () => {
    const raw = parseConfig({ ...PRODUCTION, ATRIUM_ENCRYPTION_KEY: 'k'.repeat(32) })
    expect(raw.encryptionKey?.toString()).toBe('k'.repeat(32))
    expect(problemsOf({ ...PRODUCTION, ATRIUM_ENCRYPTION_KEY: 'short' })).toHaveLength(1)
  })

  it('is frozen to the bottom', () => {
    const config = parseConfig(PRODUCTION)
    expect(() => Object.assign(config.identity, { isAdminScopeOpen: true })).toThrow(TypeError)
  })

  it('takes the empty string for unset', () => {
    expect(parseConfig({ ...PRODUCTION, HOST: '' }).listen.host).toBe('0.0.0.0')
  })

  it("accepts the contract's names where ours are unset", () => {
    const { ATRIUM_ENCRYPTION_KEY: key, ...rest } = PRODUCTION
    const config = parseConfig({
      ...rest,
      SECRETS_ENCRYPTION_KEY: key,
      MOLECULE_ENABLE_TEST_TOKENS: '1',
    })
    expect(config.identity.testTokensEnabled).toBe(true)
    expect(config.encryptionKey).toHaveLength(32)
  })
})

describe('development mode', () => {
  it('opens the admin scope, and the workspace scope only when asked', () => {
    const { identity, listen } = parseConfig({ ATRIUM_MODE: 'development' })
    expect(listen.host).toBe('127.0.0.1')
    expect(identity).toMatchObject({ isAdminScopeOpen: true, isWorkspaceScopeOpen: false })
    const contract = parseConfig({ MOLECULE_ENV: 'dev' })
    expect(contract.identity).toMatchObject({ isAdminScopeOpen: true, isWorkspaceScopeOpen: true })
  })

  it('is closed again by an admin token', () => {
    const { identity } = parseConfig({
      ATRIUM_MODE: 'development',
      ATRIUM_OPEN_WORKSPACE_SCOPE: '1',
      ADMIN_TOKEN: 'x',
    })
    expect(identity).toMatchObject({ isAdminScopeOpen: false, isWorkspaceScopeOpen: false })
  })

  it('refuses to bind anything but loopback while it is open', () => {
    for (const HOST of ['0.0.0.0', '::', '192.168.1.5', 'example.org']) {
      expect(problemsOf({ ATRIUM_MODE: 'development', HOST })).toHaveLength(1)
      expect(problemsOf({ ATRIUM_MODE: 'development', HOST, ADMIN_TOKEN: 'x' })).toHaveLength(0)
    }
  })

  it('is not what any other value of the contract variable means', () => {
    expect(parseConfig({ ...PRODUCTION, MOLECULE_ENV: 'staging' }).isDevelopment).toBe(false)
  })
})

describe('the addresses that agents may report', () => {
  const addresses = (env: Record<string, string>) =>
    parseConfig({ ...PRODUCTION, ...env }).agentAddresses

  it.each([
    [{}, false],
    [{ MOLECULE_ORG_ID: 'org-1' }, true],
    [{ MOLECULE_DEPLOY_MODE: ' SaaS ' }, true],
    [{ MOLECULE_DEPLOY_MODE: 'saas', ATRIUM_ALLOW_PRIVATE_AGENTS: '0' }, false],
    [{ MOLECULE_DEPLOY_MODE: 'self-hosted', MOLECULE_ORG_ID: 'org-1' }, false],
    [{ MOLECULE_DEPLOY_MODE: 'SelfHosted', MOLECULE_ORG_ID: 'org-1' }, false],
    [{ MOLECULE_DEPLOY_MODE: 'standalone', MOLECULE_ORG_ID: 'org-1' }, false],
    [{ MOLECULE_DEPLOY_MODE: 'cloud', MOLECULE_ORG_ID: 'org-1' }, false],
    [{ ATRIUM_ALLOW_PRIVATE_AGENTS: '1' }, true],
  ])('with %j: private ones %s (contract/platform 2.7)', (env, allowPrivate) => {
    expect(addresses(env as Record<string, string>).allowPrivate).toBe(allowPrivate)
  })

  it('are told of a mode that is none, once and in words', () => {
    const notices = (mode: string) =>
      parseConfig({ ...PRODUCTION, MOLECULE_DEPLOY_MODE: mode }).notices
    expect(notices('cloud')).toHaveLength(1)
    for (const mode of ['saas', 'selfhosted', 'standalone', ' ']) expect(notices(mode)).toEqual([])
  })

  it('are widened by ranges, each of which has to be one', () => {
    const { cidrs } = addresses({ ATRIUM_AGENT_CIDRS: ' 10.20.0.0/16, fd00:1::/32 ,' })
    expect(cidrs).toEqual(['10.20.0.0/16', 'fd00:1::/32'])
    for (const wrong of ['10.0.0.1', '10.0.0.0/40', 'all']) {
      expect(() => addresses({ ATRIUM_AGENT_CIDRS: wrong })).toThrow(/ATRIUM_AGENT_CIDRS/)
    }
  })
})

describe('with a control plane', () => {
  const HOSTED = {
    ...PRODUCTION,
    ATRIUM_PROVISIONER: 'control-plane',
    MOLECULE_CP_SHARED_SECRET: 'shared-secret',
    MOLECULE_ORG_ID: 'org-1',
    PLATFORM_URL: 'https://atrium.example',
  }
  const urlOf = (env: Record<string, string>) =>
    parseConfig({ ...HOSTED, ...env }).controlPlane.baseUrl

  it('takes the first address that is set, without a slash at its end', () => {
    expect(urlOf({})).toBe('https://api.moleculesai.app')
    expect(urlOf({ MOLECULE_CP_URL: 'https://b.example/' })).toBe('https://b.example')
    const both = { MOLECULE_CP_URL: 'https://b.example', CP_PROVISION_URL: 'https://a.example//' }
    expect(urlOf(both)).toBe('https://a.example')
  })

  it('takes the secret by its older name as well, and prints neither', () => {
    const { MOLECULE_CP_SHARED_SECRET: shared, ...others } = HOSTED
    const older = parseConfig({ ...others, PROVISION_SHARED_SECRET: shared })
    expect(older.controlPlane.sharedSecret?.reveal()).toBe(shared)
    const both = parseConfig({ ...HOSTED, PROVISION_SHARED_SECRET: 'older-secret' })
    expect(both.controlPlane.sharedSecret?.reveal()).toBe(shared)
    expect(JSON.stringify(both.controlPlane)).not.toMatch(/shared-secret|older-secret/)
  })

  it('refuses the start in words, with everything that is missing', () => {
    const { MOLECULE_CP_SHARED_SECRET: _a, MOLECULE_ORG_ID: _b, PLATFORM_URL: _c, ...rest } = HOSTED
    const problems = problemsOf(rest)
    expect(problems).toHaveLength(3)
    expect(problems.join()).toMatch(/MOLECULE_CP_SHARED_SECRET.*MOLECULE_ORG_ID.*PLATFORM_URL/)
    expect(problemsOf({ ...rest, ATRIUM_PROVISIONER: 'none' })).toEqual([])
    // Both are on this machine then, and the platform knows where it listens.
    expect(problemsOf({ ...rest, ATRIUM_MODE: 'development' })).toHaveLength(2)
  })

  it.each([
    ['CP_PROVISION_URL', 'ftp://a.example'],
    ['MOLECULE_CP_URL', 'nowhere'],
    ['MOLECULE_CP_SHARED_SECRET', 'two words'],
    ['CP_ADMIN_API_TOKEN', 'line\n'],
    ['ATRIUM_CP_TIMEOUT_MS', '-5'],
  ])('refuses %s=%j and does not repeat it', (name, value) => {
    const problems = problemsOf({ ...HOSTED, [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(name)
    expect(problems[0]).not.toContain(value)
  })
})

describe('the sandbox of local workspaces', () => {
  it('is used where it works, unless it is required or switched off', () => {
    const sandboxOf = (env: Record<string, string>) =>
      parseConfig({ ...PRODUCTION, ...env }).sandbox
    expect(sandboxOf({})).toEqual({ mode: 'auto', readable: [] })
    const env = { ATRIUM_SANDBOX: 'on', ATRIUM_SANDBOX_READABLE: '/opt/tools:/srv/agents' }
    expect(sandboxOf(env)).toEqual({ mode: 'on', readable: ['/opt/tools', '/srv/agents'] })
  })

  it.each(['relative', '/', '/opt/../etc', '/opt//tools', '/opt/tools/'])(
    'shows no %j to workspaces',
    (path) => {
      const env = { ...PRODUCTION, ATRIUM_SANDBOX_READABLE: `/usr:${path}` }
      expect(() => parseConfig(env)).toThrow(/ATRIUM_SANDBOX_READABLE/)
    },
  )

  it('hands on what archives may hold where somebody says so, and judges it as a runtime does', () => {
    expect(parseConfig(PRODUCTION).archiveLimits).toEqual({})
    const limits = { ATRIUM_ARCHIVE_MAX_BYTES: '1000', ATRIUM_ARCHIVE_MAX_DEPTH: '7' }
    expect(parseConfig({ ...PRODUCTION, ...limits }).archiveLimits).toEqual(limits)
    const wrong = { ATRIUM_ARCHIVE_MAX_DEPTH: '1001', ATRIUM_ARCHIVE_MAX_CONCURRENT: '65' }
    expect(problemsOf({ ...PRODUCTION, ...wrong })).toHaveLength(2)
  })
})
