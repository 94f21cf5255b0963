import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  createWriteStream,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addressTowards } from '../../../apps/workspace-runtime/src/registration/own-address.ts'
import { CredentialFile } from '../../../apps/workspace-runtime/src/secrets/credential-file.ts'
import {
  keepHandedCredentials,
  takeHandedCredentials,
} from '../../../apps/workspace-runtime/src/secrets/handed-credentials.ts'
import {
  keepHandedFiles,
  takeHandedFiles,
} from '../../../apps/workspace-runtime/src/secrets/handed-files.ts'
import {
  makeWorkspaceFolders,
  mintSecret,
  userMessage,
  type WorkspaceFolders,
} from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'
import { type RegistryServer, startRegistryServer } from '../../support/registry-server.ts'
import { runLogPath } from '../../support/secret-ledger.ts'

const MAIN = resolve('apps/workspace-runtime/src/main.ts')

let folders: WorkspaceFolders
let authToken: string
let inboundSecret: string

beforeEach(() => {
  folders = makeWorkspaceFolders()
  authToken = mintSecret()
  inboundSecret = mintSecret()
})
afterEach(() => rmSync(folders.base, { recursive: true, force: true }))

describe('credentials in the environment', () => {
  const storeOf = (name: string) =>
    new CredentialFile(join(folders.configs, name), { clock: systemClock, ids: systemIds })
  const keep = (generation: number | undefined, token = authToken, secret = inboundSecret) =>
    keepHandedCredentials(
      { authToken: new Secret(token), inboundSecret: new Secret(secret), generation },
      {
        authToken: storeOf('.auth_token'),
        inboundSecret: storeOf('.platform_inbound_secret'),
        generation: storeOf('.auth_token.generation'),
      },
    )
  const held = () => [
    storeOf('.auth_token').current(),
    storeOf('.platform_inbound_secret').current(),
  ]

  it('are taken out of it, under both names', () => {
    const env = {
      ATRIUM_AUTH_TOKEN: authToken,
      MOLECULE_WORKSPACE_TOKEN: 'another',
      ATRIUM_INBOUND_SECRET: ` ${inboundSecret}\n`,
      OTHER: 'x',
    }
    const taken = takeHandedCredentials(env)
    expect(taken?.authToken?.reveal()).toBe(authToken)
    expect(taken?.inboundSecret?.reveal()).toBe(inboundSecret)
    expect(env).toEqual({ OTHER: 'x' })
    expect(takeHandedCredentials(env)).toBeUndefined()
    expect(takeHandedCredentials({ ATRIUM_AUTH_TOKEN: '' })).toBeUndefined()
    const other = takeHandedCredentials({ MOLECULE_WORKSPACE_TOKEN: authToken })
    expect(other?.authToken?.reveal()).toBe(authToken)
  })

  it('fill files that are missing, whatever the generation', () => {
    keep(undefined)
    expect(held()).toEqual([authToken, inboundSecret])
    rmSync(join(folders.configs, '.auth_token'))
    keep(undefined, 'second', 'unused')
    expect(held()).toEqual(['second', inboundSecret])
  })

  it('leave alone what was rotated within their generation, and in a newer one', () => {
    keep(2)
    storeOf('.platform_inbound_secret').save('rotated')
    keep(2)
    expect(held()).toEqual([authToken, 'rotated'])
    keep(1, 'old', 'old')
    keep(undefined, 'old', 'old')
    expect(held()).toEqual([authToken, 'rotated'])
  })

  it('replace everything when they are of a newer generation, or of a first one', () => {
    for (const name of ['.auth_token', '.platform_inbound_secret']) storeOf(name).save('baked in')
    keep(1)
    expect(held()).toEqual([authToken, inboundSecret])
    keep(10, 'next', 'next')
    expect(held()).toEqual(['next', 'next'])
  })

  it('are put in place again after an interruption between the files and the record', () => {
    keep(3)
    writeFileSync(join(folders.configs, '.auth_token.generation'), '2')
    storeOf('.auth_token').save('half way')
    keep(3)
    expect(held()).toEqual([authToken, inboundSecret])
  })
})

describe('a runtime that is handed its credentials in the environment', () => {
  let registry: RegistryServer
  let child: ChildProcess | undefined
  let logFile: string

  beforeEach(async () => {
    registry = await startRegistryServer()
    logFile = runLogPath('runtime-handed')
    child = undefined
  })
  afterEach(async () => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await registry.close()
  })

  function start(env: Record<string, string> = {}): ChildProcess {
    const started = spawn(process.execPath, ['--max-semi-space-size=1', MAIN, 'an argument'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        WORKSPACE_ID: '6a1b6f0e-6f0b-4d1c-9a43-0a5c6b9d0c11',
        PLATFORM_URL: registry.url,
        ATRIUM_ROOTS_DIR: folders.base,
        // A name, as a machine that listens everywhere would say of itself.
        ATRIUM_LISTEN_HOST: 'localhost',
        ATRIUM_ADVERTISE_ADDRESS: '1',
        PORT: '0',
        ATRIUM_GENERATION: '7',
        ATRIUM_AUTH_TOKEN: authToken,
        MOLECULE_WORKSPACE_TOKEN: authToken,
        ATRIUM_INBOUND_SECRET: inboundSecret,
        PROVIDER_KEY: 'a key of the workspace',
        ...env,
      },
    })
    child = started
    const log = createWriteStream(logFile)
    started.stdout?.pipe(log)
    started.stderr?.pipe(log)
    return started
  }

  it('keeps them in private files, uses them, and says which start it is and at what address', async () => {
    start()
    const { body, headers } = await eventually(() => registry.registrations[0])
    expect(headers.authorization).toBe(`Bearer ${authToken}`)
    expect(body).toMatchObject({
      generation: 7,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    })
    for (const name of ['.auth_token', '.platform_inbound_secret']) {
      expect(statSync(join(folders.configs, name)).mode & 0o777).toBe(0o600)
    }
    const file = `${String(body['url'])}/internal/file/read?path=/workspace/x`
    expect((await fetch(file)).status).toBe(401)
    const answer = await fetch(file, { headers: { authorization: `Bearer ${inboundSecret}` } })
    expect(answer.status).toBe(404)
  })

  it('shows them to nobody: not to its command, in its process, in its log', async () => {
    const script = `const { readFileSync } = require('node:fs')
      console.log(JSON.stringify(process.env))
      console.log(readFileSync('/proc/' + process.ppid + '/environ', 'utf8'))`
    // JSON is YAML.
    const config = JSON.stringify({
      runtime_config: { command: process.execPath, args: ['-e', script] },
    })
    const { pid, spawnargs } = start({
      ATRIUM_CONFIG_FILES: JSON.stringify({
        'config.yaml': Buffer.from(config).toString('base64'),
      }),
    })
    const { body } = await eventually(() => registry.registrations[0])
    const answer = await fetch(`${String(body['url'])}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${inboundSecret}` },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'message/send',
        params: userMessage('x'),
      }),
    })
    const said = await answer.text()
    expect(said).toContain('a key of the workspace')
    const shown = [
      said,
      readFileSync(`/proc/${pid}/environ`, 'utf8'),
      readFileSync(logFile, 'utf8'),
    ].join()
    for (const secret of [authToken, inboundSecret]) expect(shown).not.toContain(secret)
    // The beginning of a task is told with a beat of its own.
    const beat = await eventually(() => registry.beats[0])
    expect(beat.body).toMatchObject({ generation: 7 })
    // The same program with the same arguments.
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    expect(line).toEqual(spawnargs)
  })

  it('refuses to start when it cannot keep them, and does not repeat them', async () => {
    writeFileSync(join(folders.base, 'not-a-folder'), '')
    rmSync(folders.configs, { recursive: true })
    writeFileSync(folders.configs, 'in the way')
    chmodSync(folders.configs, 0o600)
    const [code] = await once(start(), 'close')
    expect(code).toBe(1)
    const text = readFileSync(logFile, 'utf8')
    expect(text).toContain('could not start')
    for (const secret of [authToken, inboundSecret]) expect(text).not.toContain(secret)
  })
})

describe('configuration in the environment', () => {
  const files = (content: string) =>
    takeHandedFiles({
      ATRIUM_CONFIG_FILES: JSON.stringify({
        'config.yaml': Buffer.from(content).toString('base64'),
        'nested/deep/note.txt': Buffer.from(content).toString('base64'),
      }),
    })
  const keep = (content: string, isNewer: boolean) =>
    keepHandedFiles(files(content), {
      directory: folders.configs,
      isNewer,
      temporaryName: () => '.temporary',
    })
  const read = (name: string) => readFileSync(join(folders.configs, name), 'utf8')

  it('fills files that are missing, and replaces them with a newer start only', () => {
    keep('one', false)
    expect(statSync(join(folders.configs, 'config.yaml')).mode & 0o777).toBe(0o600)
    writeFileSync(join(folders.configs, 'config.yaml'), 'edited')
    keep('two', false)
    expect([read('config.yaml'), read('nested/deep/note.txt')]).toEqual(['edited', 'one'])
    keep('three', true)
    expect([read('config.yaml'), read('nested/deep/note.txt')]).toEqual(['three', 'three'])
  })

  it('is gone from the environment, and refused when it is something else', () => {
    const env = { ATRIUM_CONFIG_FILES: '{}' }
    expect(takeHandedFiles(env)).toEqual([])
    expect(env).toEqual({})
    for (const text of ['x', '[]', '{"a":1}', '{"a":"no base64!"}', '{"../a":""}', '{"/a":""}']) {
      expect(() => takeHandedFiles({ ATRIUM_CONFIG_FILES: text })).toThrow('ATRIUM_CONFIG_FILES')
    }
    expect(() => takeHandedFiles({ ATRIUM_CONFIG_FILES: '{".auth_token":""}' })).toThrow()
  })
})

describe('addressTowards', () => {
  it('is the address that the platform would see, or a failure', async () => {
    expect(await addressTowards('http://127.0.0.1:8080')).toBe('127.0.0.1')
    expect(await addressTowards('http://localhost:1/below')).toMatch(/^(127\.0\.0\.1|::1)$/)
    await expect(addressTowards('http://nowhere.invalid')).rejects.toThrow()
  })
})
