import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@atrium/http-kit/config-error'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../apps/workspace-runtime/src/config.ts'

describe('parseConfig', () => {
  let base: string

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'atrium-config-'))
    mkdirSync(join(base, 'configs'))
  })

  afterEach(() => rmSync(base, { recursive: true, force: true }))

  const parse = (env: Record<string, string> = {}) =>
    parseConfig({ WORKSPACE_ID: 'w-1', ATRIUM_ROOTS_DIR: base, ...env })
  const write = (yaml: string) => writeFileSync(join(base, 'configs/config.yaml'), yaml)

  it('maps the four roots below the folder of the workspace, or to themselves', () => {
    expect(parse().roots).toEqual({
      configs: join(base, 'configs'),
      workspace: join(base, 'workspace'),
      home: join(base, 'home'),
      plugins: join(base, 'plugins'),
    })
    expect(parseConfig({ WORKSPACE_ID: 'w' }).roots).toEqual({
      configs: '/configs',
      workspace: '/workspace',
      home: '/home',
      plugins: '/plugins',
    })
  })

  it('has the defaults of the contract, for a container', () => {
    const config = parse()
    expect(config.listen).toEqual({ host: '0.0.0.0', port: 8000 })
    expect(config.uploads).toEqual({
      maxFileBytes: 26_214_400,
      maxRequestBytes: 52_428_800,
      maxFiles: 64,
      fsync: true,
    })
    expect(config.isA2aOpen).toBe(false)
    expect(config.deliveryMode).toBeUndefined()
    expect(config.configsDir).toBe(join(base, 'configs'))
  })

  it('warns of a config file that is missing or broken, and starts', () => {
    expect(parse().warnings).toEqual(['config.yaml: ENOENT; using defaults'])
    write('name: [')
    expect(parse().warnings[0]).toMatch(/^config\.yaml: not YAML/)
    write('runtime_config: { timeout: soon }')
    expect(parse().warnings[0]).toMatch(/^config\.yaml: runtime_config\.timeout: /)
    expect(parse().agent.name).toBe('Workspace')
  })

  it('finds the file and the credentials in folders of their own', () => {
    write('name: in the root')
    mkdirSync(join(base, 'elsewhere'))
    writeFileSync(join(base, 'elsewhere/config.yaml'), 'name: elsewhere')
    const elsewhere = join(base, 'elsewhere')
    const root = join(base, 'configs')
    const found = (env: Record<string, string>) => {
      const { agent, configsDir } = parse(env)
      return [agent.name, configsDir]
    }
    expect(found({})).toEqual(['in the root', root])
    expect(found({ CONFIGS_DIR: elsewhere })).toEqual(['elsewhere', elsewhere])
    expect(found({ WORKSPACE_CONFIG_PATH: elsewhere })).toEqual(['elsewhere', root])
    const both = { CONFIGS_DIR: elsewhere, WORKSPACE_CONFIG_PATH: root }
    expect(found(both)).toEqual(['in the root', elsewhere])
  })

  it('takes the port from PORT, then from the config file', () => {
    write('a2a: { port: 9001 }')
    expect(parse().listen.port).toBe(9001)
    expect(parse({ PORT: '0' }).listen.port).toBe(0)
  })

  it('takes an empty variable for an unset one, and the second name of the platform URL', () => {
    const config = parse({ PORT: '', PLATFORM_URL: '', MOLECULE_URL: 'http://platform:8080/' })
    expect(config.listen.port).toBe(8000)
    expect(config.platformUrl).toBe('http://platform:8080')
  })

  it('names every problem at once', () => {
    const env = {
      PORT: '70000',
      PLATFORM_URL: 'ftp://x',
      ATRIUM_MAX_FILES: '0',
      RUNTIME_A2A_OPEN: 'yes',
      ATRIUM_IDLE_TIMEOUT_MS: '2147483648',
      ATRIUM_ARCHIVE_MAX_DEPTH: '1001',
    }
    let problems: readonly string[] = []
    try {
      parseConfig(env)
    } catch (error) {
      if (error instanceof ConfigError) problems = error.problems
    }
    expect(problems.map((problem) => problem.split(':', 1)[0])).toEqual([
      'WORKSPACE_ID',
      'PLATFORM_URL',
      'PORT',
      'ATRIUM_MAX_FILES',
      'RUNTIME_A2A_OPEN',
      'ATRIUM_IDLE_TIMEOUT_MS',
      'ATRIUM_ARCHIVE_MAX_DEPTH',
    ])
  })

  it('cannot be changed afterwards', () => {
    const config = parse()
    expect(() => Object.assign(config.listen, { port: 1 })).toThrow(TypeError)
  })
})
