import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runTool } from '../../../apps/workspace-runtime/src/tool/run-tool.ts'
import { type AgentRuntime, startAgentRuntime } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'
import type { OnlineWorkspace } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

const TOOL = resolve('apps/workspace-runtime/bin/atrium-agent')

let folder: string
let me: OnlineWorkspace
let peer: OnlineWorkspace
let echo: AgentRuntime

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atrium-tool-'))
  echo = await startAgentRuntime({ isA2aOpen: true })
  peer = await platform.onlineWorkspace(echo.url, { name: 'parrot' })
  me = await platform.onlineWorkspace('http://127.0.0.1:9', { name: 'me' })
  writeFileSync(join(folder, '.auth_token'), me.authToken, { mode: 0o600 })
})

afterAll(async () => {
  await echo.close()
  rmSync(folder, { recursive: true, force: true })
})

type Run = { readonly code: number | null; readonly out: string; readonly err: string }

const environment = () => ({
  PATH: process.env['PATH'],
  ATRIUM_NODE: process.execPath,
  ATRIUM_PLATFORM_URL: platform.url,
  ATRIUM_TOKEN_FILE: join(folder, '.auth_token'),
  WORKSPACE_ID: me.id,
})

/** The tool as an agent's shell starts it. */
async function tool(args: readonly string[], input = ''): Promise<Run> {
  const child = spawn(TOOL, args, { env: environment() })
  child.stdin.end(input)
  const [[code], out, err] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code, out, err }
}

/** The same without a process of its own. */
async function called(
  args: readonly string[],
  env: object = {},
  stdin: readonly Buffer[] = [],
): Promise<Run> {
  let [out, err] = ['', '']
  const code = await runTool({
    args,
    env: { ...environment(), ...env },
    stdin: Readable.from(stdin),
    write: (piece) => {
      out += piece
    },
    writeError: (piece) => {
      err += piece
    },
    signal: new AbortController().signal,
  })
  return { code, out, err }
}

/** A platform of the test's own: what it answers, and what it was asked. */
async function standIn(answers: readonly { status: number; body: object; headers?: object }[]) {
  const asked: { url: string; headers: Record<string, unknown>; body: string }[] = []
  const server = createServer(async (request, response) => {
    asked.push({ url: request.url ?? '', headers: request.headers, body: await text(request) })
    const { status, body, headers } = answers[Math.min(asked.length, answers.length) - 1] ?? {
      status: 500,
      body: {},
    }
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const close = async () => {
    server.closeAllConnections()
    await once(server.close(), 'close')
  }
  return { env: { ATRIUM_PLATFORM_URL: `http://127.0.0.1:${port}` }, asked, close }
}

describe('atrium-agent', () => {
  it('says how it is used, and what is wrong with a command line', async () => {
    const [help, none, wrong, most] = await Promise.all([
      called(['--help']),
      called([]),
      tool(['sing']),
      called(['send', 'parrot']),
    ])
    expect([help.code, none.code, wrong.code, most.code]).toEqual([0, 0, 2, 2])
    expect(help.out).toContain('exit codes')
    expect(wrong).toMatchObject({
      out: '',
      err: 'atrium-agent: no such command: sing (atrium-agent --help)\n',
    })
    expect((await called(['peers'], { WORKSPACE_ID: '' })).code).toBe(2)
  })

  it('tells who is there', async () => {
    const [people, list] = await Promise.all([tool(['peers']), called(['peers', '--json'])])
    expect(people.out).toBe(`- parrot (ID: ${peer.id}, status: online, role: )\n`)
    expect(JSON.parse(list.out)).toEqual([
      { id: peer.id, name: 'parrot', role: '', status: 'online' },
    ])
  })

  it('asks a peer by its name or its id, once for each key', async () => {
    const named = await tool(['send', 'parrot', 'hello'])
    expect(named).toEqual({ code: 0, out: 'hello\n', err: '' })
    const read = await tool(['send', peer.id, '-', '--json', '--key', 'k-1'], 'from a pipe')
    expect(JSON.parse(read.out)).toMatchObject({
      peer: peer.id,
      state: 'completed',
      text: 'from a pipe',
    })
    const again = await tool(['send', peer.id, '-', '--json', '--key', 'k-1'], 'from a pipe')
    expect(again.out).toBe(read.out)
    const other = await called(['send', peer.id, 'another', '--key', 'k-1'])
    expect(other).toMatchObject({ code: 1, out: '' })
  })

  it('knows nobody that the platform does not show it, and no token but its own', async () => {
    const [name, id, token] = await Promise.all([
      called(['send', 'nobody', 'x']),
      called(['send', crypto.randomUUID(), 'x']),
      called(['peers'], { ATRIUM_TOKEN_FILE: join(folder, 'none') }),
    ])
    expect([name.code, id.code, token.code]).toEqual([4, 4, 2])
  })

  it('gives the people of its workspace a file', async () => {
    const files = await startAgentRuntime({ authToken: me.authToken })
    const own = await platform.onlineWorkspace(files.url, { name: 'filer' })
    writeFileSync(join(files.folders.configs, '.platform_inbound_secret'), own.inboundSecret)
    writeFileSync(join(folder, 'filer'), own.authToken, { mode: 0o600 })
    writeFileSync(join(folder, 'report.txt'), 'the report')
    const env = { WORKSPACE_ID: own.id, ATRIUM_TOKEN_FILE: join(folder, 'filer') }
    const sent = await called(
      ['notify', 'here', '--attach', join(folder, 'report.txt'), '--json'],
      env,
    )
    expect(sent.err).toBe('')
    const [file] = JSON.parse(sent.out).attachments
    expect(file).toMatchObject({ name: 'report.txt', size: 10, mimeType: 'text/plain' })
    const none = await called(['notify', 'here', '--attach', join(folder, 'nothing')], env)
    expect(none).toMatchObject({ code: 2, out: '' })
    await files.close()
  })

  it('says something to the people of its workspace, once', async () => {
    for (const say of [tool, called]) {
      expect(await say(['notify', 'done with it', '--key', 'n-1'])).toMatchObject({ code: 0 })
    }
    const answer = await platform.request(`/workspaces/${me.id}/activity?source=canvas`)
    const rows = (await answer.json()) as { method: string; response_body: object }[]
    expect(rows.filter(({ method }) => method === 'notify')).toMatchObject([
      { response_body: { result: 'done with it' } },
    ])
  })

  it('says a failed task by its code, and an open one by how to ask again', async () => {
    const status = (state: string, said: string) => ({
      state,
      message: { parts: [{ kind: 'text', text: said }] },
    })
    const task = (state: string, said = '') => ({
      status: 200,
      body: {
        jsonrpc: '2.0',
        id: 1,
        result: { kind: 'task', id: 't-1', status: status(state, said) },
      },
    })
    const stage = await standIn([
      task('failed', '\u001b[2Jbecause'),
      task('submitted'),
      task('completed', 'ok'),
    ])
    const failed = await called(['send', peer.id, 'x'], stage.env)
    expect(failed).toEqual({ code: 1, out: '[2Jbecause\n', err: '' })
    const open = await called(['send', peer.id, 'x', '--no-wait'], stage.env)
    expect(open).toMatchObject({ code: 3, out: `submitted: atrium-agent task ${peer.id} t-1\n` })
    const asked = await called(['task', peer.id, 't-1'], stage.env)
    expect(asked).toMatchObject({ code: 0, out: 'ok\n' })
    await stage.close()
  })

  it('tries again under the same key, and never shows its token', async () => {
    const busy = {
      status: 503,
      body: { error: 'x', retryable: true },
      headers: { 'retry-after': '0' },
    }
    const result = { kind: 'message', parts: [{ kind: 'text', text: 'at last' }] }
    const stage = await standIn([
      busy,
      busy,
      { status: 200, body: { jsonrpc: '2.0', id: 1, result } },
    ])
    const run = await called(['send', peer.id, 'x'], stage.env)
    expect(run).toEqual({ code: 0, out: 'at last\n', err: '' })
    const keys = stage.asked.map(({ headers }) => headers['idempotency-key'])
    expect(keys).toHaveLength(3)
    expect(new Set(keys).size).toBe(1)
    expect(stage.asked[0]?.headers['authorization']).toBe(`Bearer ${me.authToken}`)
    expect(stage.asked.map(({ url, body }) => url + body).join()).not.toContain(me.authToken)
    await stage.close()
    const away = await called(['peers', '--timeout', '1'], stage.env)
    expect(away.code).toBe(5)
    expect(away.err).not.toContain(me.authToken)
  })

  it('names the key under which what was not answered may be tried again', async () => {
    const stage = await standIn([{ status: 503, body: {}, headers: { 'retry-after': '60' } }])
    const commands = [
      ['send', peer.id, 'x'],
      ['delegate', peer.id, 'x'],
      ['notify', 'x'],
    ]
    const runs = commands.map((args) => called([...args, '--timeout', '1'], stage.env))
    for (const { code, err } of await Promise.all(runs)) {
      const key = /done once: --key ([0-9a-f-]{36})\n$/.exec(err)?.[1]
      expect([code, key]).toEqual([5, expect.any(String)])
      expect(JSON.stringify(stage.asked)).toContain(key)
    }
    await stage.close()
  })

  it('takes no text that a message could not hold', async () => {
    const run = await called(['notify', '-'], {}, new Array(17).fill(Buffer.alloc(65_536, 'x')))
    expect([run.code, run.err]).toEqual([2, 'atrium-agent: the text is longer than 1 MiB\n'])
  })

  it('hands a task over once, and tells what became of it', async () => {
    const handed = await tool(['delegate', 'parrot', 'write it', '--key', 'd-1', '--json'])
    expect(handed).toMatchObject({ code: 0, err: '' })
    const { delegation_id: id, peer: target } = JSON.parse(handed.out)
    expect(target).toBe(peer.id)
    const again = await called(['delegate', 'parrot', 'write it', '--key', 'd-1', '--json'])
    expect(JSON.parse(again.out)).toMatchObject({ delegation_id: id })
    const row = await eventually(async () => {
      const [found] = JSON.parse((await called(['delegate', '--status', id, '--json'])).out)
      return found.status === 'completed' && found
    })
    expect(JSON.stringify(row)).toContain('write it')
    const all = await called(['delegate', '--status'])
    expect(all.out).toContain(`${id} completed write it`)
    expect((await called(['delegate', '--status', crypto.randomUUID()])).code).toBe(4)
  })

  it('is at hand for the command of an agent', async () => {
    const script = `
      const { execFileSync } = require('node:child_process')
      console.log(execFileSync('atrium-agent', ['send', 'parrot', 'from an agent'], { encoding: 'utf8' }))`
    const runConfig = { command: process.execPath, args: ['-e', script] }
    const agent = await startAgentRuntime({
      config: JSON.stringify({ runtime_config: runConfig }),
      authToken: me.authToken,
      platformUrl: platform.url,
      env: { WORKSPACE_ID: me.id },
    })
    const parts = [{ kind: 'text', text: 'go' }]
    const message = { kind: 'message', messageId: 'm', role: 'user', parts }
    const { result } = await agent.call('message/send', { message })
    await agent.close()
    expect(result).toMatchObject({ parts: [{ text: 'from an agent' }] })
  })
})
