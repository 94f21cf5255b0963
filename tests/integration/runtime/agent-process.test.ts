import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  makeWorkspaceFolders,
  mintSecret,
  userMessage,
  type WorkspaceFolders,
} from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'
import { isRunning } from '../../support/process-probe.ts'
import {
  REGISTERED,
  type RegistryServer,
  startRegistryServer,
} from '../../support/registry-server.ts'
import { runLogPath } from '../../support/secret-ledger.ts'
import { sendSignal } from '../../support/send-signal.ts'

const MAIN = resolve('apps/workspace-runtime/src/main.ts')
const WORKSPACE_ID = '6a1b6f0e-6f0b-4d1c-9a43-0a5c6b9d0c11'

describe('the runtime process', () => {
  let folders: WorkspaceFolders
  let registry: RegistryServer
  let inboundSecret: string
  let logFile: string
  let child: ChildProcess | undefined

  beforeEach(async () => {
    folders = makeWorkspaceFolders()
    registry = await startRegistryServer()
    inboundSecret = mintSecret()
    logFile = runLogPath('runtime-process')
    writeFileSync(join(folders.configs, '.platform_inbound_secret'), inboundSecret, { mode: 0o600 })
    child = undefined
  })

  afterEach(async () => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await registry.close()
    rmSync(folders.base, { recursive: true, force: true })
  })

  /** Starts it as the process provisioner does and resolves with its URL once it listens. */
  async function start(config: object | string): Promise<string> {
    const text = typeof config === 'string' ? config : JSON.stringify(config)
    writeFileSync(join(folders.configs, 'config.yaml'), text)
    const started = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        PATH: process.env['PATH'],
        WORKSPACE_ID,
        PLATFORM_URL: registry.url,
        ATRIUM_ROOTS_DIR: folders.base,
        ATRIUM_LISTEN_HOST: '127.0.0.1',
        PORT: '0',
        ATRIUM_BOX: folders.base,
      },
    })
    child = started
    const log = createWriteStream(logFile)
    started.stdout?.pipe(log)
    started.stderr?.pipe(log)
    const [message] = (await once(started, 'message')) as [{ type: string; port: number }]
    expect(message.type).toBe('ready')
    return `http://127.0.0.1:${message.port}`
  }

  async function ended(): Promise<{ code: number | null; ms: number }> {
    const startedAt = Date.now()
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      await once(child, 'exit')
    }
    return { code: child?.exitCode ?? null, ms: Date.now() - startedAt }
  }

  const send = (url: string, text: string, secret = inboundSecret) =>
    fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'message/send',
        params: userMessage(text),
      }),
    })

  /** A command that says in a file that it runs, and does not end by itself. */
  const endless = {
    runtime_config: {
      command: process.execPath,
      args: [
        '-e',
        `process.on('SIGTERM', () => {}); require('node:fs').writeFileSync(process.env.ATRIUM_WORKSPACE_DIR + '/pid', String(process.pid)); setInterval(() => {}, 1000)`,
      ],
    },
  }
  const commandPid = async () => {
    const file = join(folders.workspace, 'pid')
    await eventually(() => existsSync(file) && readFileSync(file, 'utf8') !== '')
    return Number(readFileSync(file, 'utf8'))
  }

  it('serves before the platform accepts it, and registers when that is possible', async () => {
    registry.onRegister = () => ({ status: 503 })
    const url = await start({ runtime: 'echo', name: 'Echo' })
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await send(url, 'hi')).status).toBe(200)
    await eventually(() => registry.registrations.length >= 1)
    const [token, secret] = [mintSecret(), mintSecret()]
    registry.onRegister = () => ({
      status: 200,
      body: { status: 'registered', auth_token: token, platform_inbound_secret: secret },
    })
    await eventually(() => existsSync(join(folders.configs, '.auth_token')))
    expect(readFileSync(join(folders.configs, '.auth_token'), 'utf8')).toBe(token)
    await eventually(async () => (await send(url, 'hi', secret)).status === 200)
    const call = registry.registrations.at(-1)
    expect(call?.body).toMatchObject({
      id: WORKSPACE_ID,
      url,
      agent_card: { name: 'Echo', url, capabilities: { streaming: true } },
    })
    expect(call?.body).not.toHaveProperty('delivery_mode')
  })

  it('serves files when its agent is not configured', async () => {
    writeFileSync(join(folders.workspace, 'a.txt'), 'content')
    const url = await start({ runtime: 'langgraph' })
    const file = await fetch(`${url}/internal/file/read?path=/workspace/a.txt`, {
      headers: { authorization: `Bearer ${inboundSecret}` },
    })
    expect([file.status, await file.text()]).toEqual([200, 'content'])
    expect(await (await send(url, 'hi')).json()).toMatchObject({
      error: { message: 'agent is not configured' },
    })
  })

  it('starts with a config file that is broken, and says so', async () => {
    const url = await start('{')
    expect((await fetch(`${url}/health`)).status).toBe(200)
    await eventually(() => readFileSync(logFile, 'utf8').includes('config.warning'))
  })

  it('lets no caller write a line of its log', async () => {
    const url = await start({ runtime: 'echo' })
    const forged = 'x\n{"level":60,"msg":"forged"}\u001b[31m'
    const params = userMessage('hi', [], { referenceTaskIds: [forged] })
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'message/send', params })
    const headers = { authorization: `Bearer ${inboundSecret}`, 'content-type': 'application/json' }
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200)
    await eventually(() => readFileSync(logFile, 'utf8').includes('forged'))
    const text = readFileSync(logFile, 'utf8')
    const lines = text.slice(0, text.lastIndexOf('\n')).split('\n')
    expect(lines.map((line) => JSON.parse(line).msg)).not.toContain('forged')
    expect(text).not.toContain('\u001b')
  })

  it('ends with everything it started soon when the platform is gone', async () => {
    const url = await start(endless)
    const answer = send(url, 'go').catch((error: unknown) => error)
    const pid = await commandPid()
    child?.disconnect()
    const { code, ms } = await ended()
    expect(code).toBe(0)
    // The command has five seconds to end by itself when it is canceled; here it has not.
    expect(ms).toBeLessThan(4_000)
    await eventually(() => !isRunning(pid))
    await answer
  })

  it('ends with everything it started when it is asked to, also a command that does not want to', async () => {
    const url = await start(endless)
    const answer = send(url, 'go')
    const pid = await commandPid()
    child?.kill('SIGTERM')
    expect(await (await answer).json()).toMatchObject({
      result: { parts: [{ text: 'Agent error: the workspace is shutting down' }] },
    })
    const { code, ms } = await ended()
    expect(code).toBe(0)
    // The answer is out: nothing is waited for any more, a kept-alive connection neither.
    expect(ms).toBeLessThan(2_000)
    // Not what /proc has: the runtime may have left its entry for init to collect.
    expect(isRunning(pid)).toBe(false)
  })

  it('ends at once on a second signal, and what it started with it', async () => {
    const url = await start(endless)
    const answer = send(url, 'go').catch((error: unknown) => error)
    const pid = await commandPid()
    child?.kill('SIGTERM')
    await eventually(() => readFileSync(logFile, 'utf8').includes('runtime.stopping'))
    child?.kill('SIGINT')
    const { code, ms } = await ended()
    expect(code).toBe(1)
    expect(ms).toBeLessThan(4_000)
    await eventually(() => !isRunning(pid))
    await answer
  })

  it('marks what it starts, so that it can be found when the runtime was killed', async () => {
    const url = await start(endless)
    const answer = send(url, 'go').catch((error: unknown) => error)
    const pid = await commandPid()
    child?.kill('SIGKILL')
    await ended()
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    sendSignal(-pid, 'SIGKILL')
    expect(environment).toContain(`ATRIUM_BOX=${folders.base}`)
    expect(environment.join('\n')).not.toContain(inboundSecret)
    await answer
  })

  it('says what is wrong with its environment and does not start', async () => {
    const started = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], PORT: '99999', PLATFORM_URL: 'ftp://x' },
    })
    child = started
    let text = ''
    started.stderr?.on('data', (piece) => {
      text += piece
    })
    await once(started, 'close')
    expect(started.exitCode).toBe(2)
    for (const name of ['WORKSPACE_ID', 'PORT', 'PLATFORM_URL'])
      expect(text).toContain(`- ${name}: `)
  })

  it('stops beating before it ends', async () => {
    registry.onRegister = () => REGISTERED
    await start({ runtime: 'echo' })
    await eventually(() => registry.registrations.length === 1)
    child?.kill('SIGTERM')
    expect((await ended()).code).toBe(0)
  })
})
