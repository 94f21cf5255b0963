import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  readBody,
  type StandInExchange,
  type StandInPlatform,
  sendJson,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'
import { type CliOptions, cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'

const ENV = { ATRIUM_TOKEN: 'workspace-token-of-the-test' }
const A2A = `POST /workspaces/${WORKSPACE_ID}/a2a`
const UPLOADS = `POST /workspaces/${WORKSPACE_ID}/chat/uploads`
const DOWNLOAD = `GET /workspaces/${WORKSPACE_ID}/chat/download`

type RpcMessage = {
  readonly id: string
  readonly method: string
  readonly params: { readonly message: Record<string, unknown> & { readonly messageId: string } }
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let platform: StandInPlatform | undefined

beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await platform?.close()
  platform = undefined
  await folder.remove()
})

async function serve(handle: (exchange: StandInExchange) => void | Promise<void>) {
  platform = await startStandInPlatform(handle)
  return platform
}

/** Serves an agent: every message goes to `answer`, uploads and downloads just work. */
async function serveAgent(answer: (exchange: StandInExchange, message: RpcMessage) => void) {
  return await serve(async (exchange) => {
    const { request, response, line } = exchange
    if (line === A2A) return answer(exchange, JSON.parse(String(await readBody(request))))
    if (line === UPLOADS) {
      const length = (await readBody(request)).length
      if (length === 0) throw new Error('empty body')
      const uri = 'workspace:/workspace/.molecule/chat-uploads/aa-in.csv'
      return sendJson(response, { files: [{ uri, name: 'in.csv', mimeType: 'text/csv', size: 4 }] })
    }
    if (line === DOWNLOAD) {
      await readBody(request)
      response.end(`content of ${exchange.url.searchParams.get('path')}`)
      return
    }
    throw new Error(`unexpected ${line}`)
  })
}

const reply = (parts: unknown[]) => ({
  kind: 'message',
  role: 'agent',
  messageId: 'm',
  contextId: 'conversation-1',
  parts,
})
const text = (value: string) => ({ kind: 'text', text: value })
const file = (name: string, uri: string) => ({
  kind: 'file',
  file: { uri, name, mimeType: 'text/plain' },
})

function send(args: readonly string[], options: CliOptions = {}) {
  return cli(['--url', platform?.url ?? '', 'send', WORKSPACE_ID, ...args], {
    cwd: folder.path,
    env: ENV,
    ...options,
  })
}

describe('atrium send', () => {
  it('uploads first, refers to the files in the message, and saves what comes back', async () => {
    let message: RpcMessage | undefined
    await serveAgent(({ response }, given) => {
      message = given
      const parts = [text('done'), file('out.csv', 'workspace:/workspace/out.csv')]
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply(parts) })
    })
    await writeFile(join(folder.path, 'in.csv'), 'a,b\n')
    const run = await send(['look at this', '--file', 'in.csv', '--out', 'answer', '--json'])
    expect(run.stderr).toBe('')
    expect(run.exitCode).toBe(0)
    expect(message?.method).toBe('message/send')
    expect(message?.params.message).toMatchObject({
      role: 'user',
      parts: [
        { kind: 'text', text: 'look at this' },
        {
          kind: 'file',
          file: {
            uri: 'workspace:/workspace/.molecule/chat-uploads/aa-in.csv',
            name: 'in.csv',
            mimeType: 'text/csv',
          },
        },
      ],
    })
    expect(JSON.parse(run.stdout)).toMatchObject({
      state: 'completed',
      text: 'done',
      context_id: 'conversation-1',
      files: [{ name: 'out.csv', saved_as: join(folder.path, 'answer', 'out.csv') }],
    })
    const saved = await readFile(join(folder.path, 'answer', 'out.csv'), 'utf8')
    expect(saved).toBe('content of /workspace/out.csv')
  })

  it('never lets a name from the workspace leave the folder or overwrite anything', async () => {
    const names = ['../../escape.txt', '/etc/passwd', 'a.txt', 'a.txt', '-rf', 'CON', '.bashrc', '']
    await serveAgent(({ response }, given) => {
      const parts = names.map((name, index) => file(name, `workspace:/workspace/${index}.txt`))
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply(parts) })
    })
    await writeFile(join(folder.path, 'escape.txt'), 'precious')
    const out = join(folder.path, 'deep', 'er', 'out')
    const run = await send(['go', '--out', out])
    expect(run.exitCode).toBe(0)
    const saved = (await readdir(out)).sort()
    expect(saved).toHaveLength(names.length)
    expect(saved).toContain('a (1).txt')
    for (const name of saved) expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_. ()-]*$/)
    expect(await readdir(folder.path)).toEqual(['deep', 'escape.txt'])
    expect(await readFile(join(folder.path, 'escape.txt'), 'utf8')).toBe('precious')
  })

  it('keeps the answer and the other files when one of them is not there', async () => {
    await serve(async ({ request, response, line, url }) => {
      const body = String(await readBody(request))
      if (line === DOWNLOAD) {
        if (url.searchParams.get('path') === '/workspace/present.txt') response.end('here')
        else sendJson(response, { error: 'file not found', code: 'file_not_found' }, 404)
        return
      }
      const names = ['absent.txt', 'present.txt']
      const files = names.map((name) => file(name, `workspace:/workspace/${name}`))
      const result = reply([text('long work'), ...files])
      return sendJson(response, { jsonrpc: '2.0', id: JSON.parse(body).id, result })
    })
    const forPeople = await send(['go', '--out', 'answer'])
    expect(forPeople.exitCode).toBe(3)
    expect(forPeople.stdout).toContain('long work\n')
    expect(forPeople.stdout).toContain('file absent.txt  could not be saved: file not found\n')
    expect(await readFile(join(folder.path, 'answer', 'present.txt'), 'utf8')).toBe('here')
    const run = await send(['go', '--out', 'again', '--json'])
    expect(run.exitCode).toBe(3)
    expect(JSON.parse(run.stderr)).toMatchObject({ code: 'file_not_found', exit_code: 3 })
    expect(JSON.parse(run.stdout)).toMatchObject({
      text: 'long work',
      files: [
        { name: 'absent.txt', saved_as: null, error: 'file not found' },
        { name: 'present.txt', size: 4, error: null },
      ],
    })
  })

  it('lists files with the exact command when no folder was given', async () => {
    await serveAgent(({ response }, given) => {
      const parts = [file('a b.txt', "workspace:/workspace/it's here.txt")]
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply(parts) })
    })
    const run = await send(['go'])
    expect(run.stdout).toContain(
      `atrium download ${WORKSPACE_ID} 'workspace:/workspace/it'\\''s here.txt'`,
    )
    expect(await readdir(folder.path)).toEqual([])
  })

  it('does not fetch links that are not of the workspace', async () => {
    await serveAgent(({ response }, given) => {
      const parts = [file('x', 'https://example.org/x'), file('y', 'file:///etc/passwd')]
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply(parts) })
    })
    const run = await send(['go', '--out', '.'])
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toContain('link x  https://example.org/x')
    expect(await readdir(folder.path)).toEqual([])
  })

  it('strips control sequences on a terminal and passes them into a pipe', async () => {
    const hostile = '\u001b]0;owned\u0007\u001b[2Jhello\u001b[0m'
    await serveAgent(({ response }, given) => {
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply([text(hostile)]) })
    })
    expect((await send(['go'], { isTTY: true })).stdout).toBe('hello\n')
    expect((await send(['go'])).stdout).toBe(`${hostile}\n`)
  })

  it('prints a stream as it comes, without repeating the last message', async () => {
    const events = [
      { kind: 'task', id: 't', contextId: 'c', status: { state: 'submitted' } },
      {
        kind: 'artifact-update',
        taskId: 't',
        artifact: { artifactId: 'a', parts: [text('Hello ')] },
      },
      {
        kind: 'artifact-update',
        taskId: 't',
        append: true,
        artifact: { artifactId: 'a', parts: [text('world')] },
      },
      {
        kind: 'status-update',
        taskId: 't',
        final: true,
        status: { state: 'completed', message: { parts: [text('Hello world')] } },
      },
    ]
    await serveAgent(({ response }, given) => {
      expect(given.method).toBe('message/stream')
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const result of events) {
        response.write(`: ping\n\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}\n\n`)
      }
      response.end()
    })
    const run = await send(['go', '--stream'])
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toBe('Hello world\n')
    const asJson = await send(['go', '--stream', '--json'])
    const lines = asJson.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => line.type)).toEqual(['event', 'event', 'event', 'event', 'result'])
    expect(lines.at(-1)).toMatchObject({ state: 'completed', text: 'Hello world', task_id: 't' })
  })

  it('does not take a stream that just ends for an answer', async () => {
    await serveAgent(({ response }) => {
      const result = { kind: 'task', id: 't', status: { state: 'working' } }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}\n\n`)
    })
    const run = await send(['go', '--stream'])
    expect(run.exitCode).toBe(5)
    expect(run.stderr).toContain('before the agent had finished')
  })

  it('fails when the task failed, after printing what the agent said', async () => {
    await serveAgent(({ response }, given) => {
      const status = { state: 'failed', message: { parts: [text('exit code 3: no such column')] } }
      sendJson(response, {
        jsonrpc: '2.0',
        id: given.id,
        result: { kind: 'task', id: 't', status },
      })
    })
    const run = await send(['go'])
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('no such column')
    expect(run.stderr).toContain('failed')
  })

  it('fails when the answer begins as a failure does', async () => {
    await serveAgent(({ response }, given) => {
      const parts = [text('Agent error: exit code 3')]
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: { kind: 'message', parts } })
    })
    const run = await send(['go'])
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('exit code 3')
  })

  it('reads the failure contract out of a JSON-RPC error', async () => {
    await serveAgent(({ response }, given) => {
      const data = { code: 'agent_not_configured', hop: 'workspace', retryable: false }
      const error = { code: -32000, message: 'agent is not configured', data }
      sendJson(response, { jsonrpc: '2.0', id: given.id, error })
    })
    const run = await send(['go', '--json'])
    expect(run.exitCode).toBe(1)
    expect(JSON.parse(run.stderr)).toMatchObject({
      code: 'agent_not_configured',
      hop: 'workspace',
      error: 'agent is not configured',
    })
  })

  it('repeats the same message, with the same id, when the platform asks for patience', async () => {
    const ids: string[] = []
    await serveAgent(({ response }, given) => {
      ids.push(given.params.message.messageId)
      if (ids.length === 1) {
        return sendJson(response, { error: 'restarting', retryable: true, retry_after: 15 }, 503)
      }
      return sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply([text('ok')]) })
    })
    const run = await send(['go'])
    expect(run.exitCode).toBe(0)
    expect(run.sleptMs).toEqual([15_000])
    expect(new Set(ids).size).toBe(1)
  })

  it('says that a message is queued', async () => {
    await serveAgent(({ response }, given) => {
      const result = { kind: 'task', id: 't9', status: { state: 'submitted' } }
      sendJson(response, { jsonrpc: '2.0', id: given.id, result, status: 'queued' })
    })
    const run = await send(['go'])
    expect(run.exitCode).toBe(0)
    expect(run.stderr).toContain('submitted (task t9)')
  })

  it('takes the acknowledgement of a polling workspace for no answer and no failure', async () => {
    await serveAgent(({ response }) => {
      sendJson(response, { status: 'queued', delivery_mode: 'poll', method: 'message/send' })
    })
    const run = await send(['go'])
    expect([run.exitCode, run.stdout]).toEqual([0, ''])
    expect(run.stderr).toContain('the agent fetches its messages')
    const asJson = await send(['go', '--json'])
    expect(JSON.parse(asJson.stdout)).toMatchObject({ state: 'queued', text: '' })
  })

  it('takes the text from standard input, and refuses to send nothing', async () => {
    let message: RpcMessage | undefined
    const server = await serveAgent(({ response }, given) => {
      message = given
      sendJson(response, { jsonrpc: '2.0', id: given.id, result: reply([]) })
    })
    expect((await send([])).exitCode).toBe(2)
    expect((await send(['-'], { stdin: '  ' })).exitCode).toBe(2)
    expect(server.seen).toEqual([])
    expect((await send(['-'], { stdin: 'from a pipe' })).exitCode).toBe(0)
    expect(message?.params.message['parts']).toEqual([text('from a pipe')])
  })
})
