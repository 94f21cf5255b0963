/** Job control of a host, over real sockets, against a real server of it and against liars. */
import type { ServerResponse } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import { Secret } from '@atrium/http-kit/secret'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addressPolicyOf } from '../../../apps/platform/src/upstream/agent-address.ts'
import {
  type JobWindow,
  ShellctlClient,
  type ShellctlHost,
} from '../../../apps/platform/src/upstream/shellctl-client.ts'
import { eventually } from '../../support/eventually.ts'
import { findPython } from '../../support/pseudo-terminals.ts'
import { ShellctlServer } from '../../support/shellctl-server.ts'

const LOOPBACK = addressPolicyOf({ allowLoopback: true, allowPrivate: false, cidrs: [] })
const NOWHERE = addressPolicyOf({ allowLoopback: false, allowPrivate: true, cidrs: [] })
const python = findPython()

describe.skipIf(python === undefined)('ShellctlClient', () => {
  let server: ShellctlServer
  let client: ShellctlClient
  let host: ShellctlHost

  beforeAll(async () => {
    server = await ShellctlServer.start({ python: python ?? '', basePath: '/box/7' })
    client = new ShellctlClient({ connectTimeoutMs: 2_000, policy: LOOPBACK })
  })
  beforeEach(() => {
    host = { url: server.url, token: new Secret(server.token) }
  })
  afterEach(async () => {
    server.misbehave = () => false
    server.tamper = (result) => result
    for (const id of server.left) await client.delete(host, id)
  })
  afterAll(async () => {
    await client.close()
    await server.stop()
  })

  async function run(script: string): Promise<{ id: string; window: JobWindow }> {
    const ids: string[] = []
    const signal = new AbortController().signal
    const job = { script, env: { WORDS: 'it\'s $HOME `x` "y"\nand a line' } }
    const window = await client.run(host, job, { signal, onJob: (id) => ids.push(id) })
    return { id: ids[0] ?? '', window }
  }

  it('runs a job in a terminal of 4096 x 200, with its environment as it is', async () => {
    const { window } = await run('stty size; printf "%s" "$WORDS"')
    expect(window.isDone).toBe(true)
    expect(window.output).toBe('200 4096\r\nit\'s $HOME `x` "y"\r\nand a line')
  })

  it('asks for the windows that follow, until nothing more is waiting', async () => {
    const { id, window } = await run('yes 0123456789abcdef 2>/dev/null | head -c 1500000')
    expect(window).toMatchObject({ isTruncated: true, offset: 1_048_576 })
    const signal = new AbortController().signal
    let { offset, output } = window
    let last = window
    while (!last.isDone || last.isTruncated) {
      last = await client.wait(host, { id, offset }, signal)
      offset = last.offset
      output += last.output
    }
    expect(output.replaceAll('\r', '').length).toBe(1_500_000)
  })

  it('deletes a job that runs, and takes it for done when there is none', async () => {
    const { id } = await run('echo started; exec sleep 600')
    await client.delete(host, id)
    expect(server.left).toEqual([])
    await client.delete(host, id)
    expect(server.calls.at(-1)?.path).toBe(`/v1/jobs/${id}?force=true`)
  })

  it('keeps the base path, and is nobody without the token', async () => {
    await run('true')
    expect(server.calls.at(-1)).toMatchObject({ method: 'POST', path: '/v1/jobs/run' })
    const own = host
    host = { ...own, token: new Secret('another') }
    await expect(run('true')).rejects.toMatchObject({ code: 'shellctl_error' })
    host = own
  })

  function say(status: number, body: string, headers: Record<string, string> = {}) {
    server.misbehave = (_call, response) => {
      response.writeHead(status, headers)
      response.end(body)
      return true
    }
  }
  const result = {
    job_id: '05211530-k7p',
    done: false,
    output: '',
    offset: 0,
    truncated: false,
  }

  it.each<[string, number, string, Record<string, string>]>([
    ['redirects', 307, '', { location: 'http://127.0.0.1:1/' }],
    ['answers markup', 200, '<html>login</html>', { 'content-type': 'text/html' }],
    ['answers a list', 200, '[]', {}],
    ['answers null', 200, 'null', {}],
    ['refuses', 401, '{"error":{"code":"unauthorized","message":"SPILL"}}', {}],
    ['breaks', 500, 'SPILL', {}],
    ['refuses with the look of an answer', 400, JSON.stringify(result), {}],
    ['has no id', 200, JSON.stringify({ ...result, job_id: undefined }), {}],
    ['has an id that is a path', 200, JSON.stringify({ ...result, job_id: '../../x' }), {}],
    ['has an id that is a dot', 200, JSON.stringify({ ...result, job_id: '..' }), {}],
    ['has an id with a query', 200, JSON.stringify({ ...result, job_id: 'a?force=false' }), {}],
    ['has a number for an id', 200, JSON.stringify({ ...result, job_id: 7 }), {}],
    ['has a number for output', 200, JSON.stringify({ ...result, output: 7 }), {}],
    ['has a word for an offset', 200, JSON.stringify({ ...result, offset: 'next' }), {}],
    ['goes back behind the beginning', 200, JSON.stringify({ ...result, offset: -1 }), {}],
    [
      'says more than was asked',
      200,
      JSON.stringify({ ...result, output: 'x'.repeat(1_048_577) }),
      {},
    ],
    ['says far too much', 200, JSON.stringify(result).padEnd(7_000_000), {}],
  ])('throws shellctl_error, and none of its words, when a host %s', async (...row) => {
    const [, status, body, headers] = row
    say(status, body, headers)
    const failure: unknown = await run('true').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(AppError)
    if (!(failure instanceof AppError)) return
    expect(failure.code).toBe('shellctl_error')
    expect(failure.publicText).toBe('the job-control host could not be asked')
    expect(failure.message).not.toContain('SPILL')
  })

  it('takes integers as booleans, numbers and numeric strings, and coerces booleans', async () => {
    say(200, JSON.stringify({ ...result, offset: '17', done: 1, truncated: '' }))
    expect((await run('true')).window).toMatchObject({
      offset: 17,
      isDone: true,
      isTruncated: false,
    })
    say(200, JSON.stringify({ ...result, offset: true, done: [], truncated: 'false' }))
    expect((await run('true')).window).toMatchObject({
      offset: 1,
      isDone: false,
      isTruncated: true,
    })
  })

  it('tells the job before it complains of the rest of an answer, so that it can be deleted', async () => {
    server.tamper = (real) => ({ ...real, output: 7 })
    const ids: string[] = []
    const signal = new AbortController().signal
    const job = { script: 'true', env: {} }
    const running = client.run(host, job, { signal, onJob: (id) => ids.push(id) })
    await expect(running).rejects.toMatchObject({ code: 'shellctl_error' })
    expect(ids).toEqual(server.left)
    expect(ids).toHaveLength(1)
  })

  it('lets go of a host that hangs, when it is told to', async () => {
    let hanging: ServerResponse | undefined
    server.misbehave = (_call, response) => {
      hanging = response
      return true
    }
    const leaving = new AbortController()
    const job = { script: 'true', env: {} }
    const running = client.run(host, job, { signal: leaving.signal, onJob: () => undefined })
    const failed = expect(running).rejects.toMatchObject({ code: 'shellctl_error' })
    await eventually(() => hanging !== undefined)
    leaving.abort()
    await failed
    await eventually(() => hanging?.destroyed === true)
  })

  it('connects to no address that the policy refuses', async () => {
    const before = server.calls.length
    const guarded = new ShellctlClient({ connectTimeoutMs: 2_000, policy: NOWHERE })
    const signal = new AbortController().signal
    const job = { script: 'true', env: {} }
    const running = guarded.run(host, job, { signal, onJob: () => undefined })
    await expect(running).rejects.toMatchObject({ code: 'shellctl_error' })
    await guarded.close()
    expect(server.calls).toHaveLength(before)
  })
})
