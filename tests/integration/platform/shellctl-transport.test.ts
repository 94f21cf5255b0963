/** Sessions through job control when something is wrong with the host (contract/runtime 20.4, 20.5). */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type ClientRequest, createServer, get, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { AppError } from '@atrium/http-kit/app-error'
import { Secret } from '@atrium/http-kit/secret'
import { isSessionId, parseSessionPath } from '@atrium/path-safety/session-path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { getWorkspace } from '../../../apps/platform/src/services/find-workspace.ts'
import type { SessionCall } from '../../../apps/platform/src/services/inspector/session-transport.ts'
import { createShellctlTransport } from '../../../apps/platform/src/services/inspector/shellctl-transport.ts'
import { eventually } from '../../support/eventually.ts'
import { findPython } from '../../support/pseudo-terminals.ts'
import { type ShellctlScene, startShellctlScene } from '../../support/session-scene.ts'

const SESSION = 'e1f2a3b'
const MIB = 1_048_576
const LIMITS = { operationTimeoutMs: 20_000, maxContents: 16 }
const python = findPython()

describe.skipIf(python === undefined)('sessions through a host that has its own ways', () => {
  let scene: ShellctlScene

  beforeAll(async () => {
    scene = await startShellctlScene(python ?? '')
    const folder = join(scene.sessions, SESSION)
    mkdirSync(folder)
    writeFileSync(join(folder, 'small'), 'small')
    writeFileSync(join(folder, 'large'), Buffer.alloc(2 * MIB, 'large'))
  })
  afterEach(async () => {
    scene.server.prelude = ''
    scene.server.tamper = (result) => result
    // Whatever happened: no job is ever left (20.4).
    await eventually(() => scene.server.left.length === 0, 8_000)
    scene.server.misbehave = () => false
  })
  afterAll(() => scene.stop())

  const preview = (init: RequestInit = {}) =>
    scene.get(SESSION, '/preview', { path: 'small' }, init)
  const download = () => scene.get(SESSION, '/download', { path: 'large' })
  async function refusal(answer: Response) {
    const { code, error } = (await answer.json()) as { code: string; error: string }
    return { status: answer.status, code, error }
  }
  const callsOf = (method: string, end: string) =>
    scene.server.calls.filter((call) => call.method === method && call.path.includes(end)).length

  it('says what the terminal shows when there is no Python, without what a terminal obeys', async () => {
    scene.server.prelude = 'PATH=/nowhere; printf "\\033[31m"; '
    const { status, code, error } = await refusal(await preview())
    expect([status, code]).toEqual([502, 'reader_failed'])
    expect(error).toMatch(/python3.*not found/)
    expect(error).not.toMatch(/\p{Cc}/u)
    expect(error.length).toBeLessThan(260)
  })

  it('finds the answer in a terminal that shows the reader, its inputs and much else', async () => {
    scene.server.prelude = 'env; stty -a; printf "%s" "$ATRIUM_SESSION_READER"; '
    const answer = await preview()
    expect([answer.status, await answer.json()]).toMatchObject([200, { text: 'small' }])
  })

  it('puts nothing that a client says into a program or an argument', async () => {
    const name = '$(touch pwned) `x` \'"; exit #'
    writeFileSync(join(scene.sessions, SESSION, name), 'quoted')
    const answer = await scene.get(SESSION, '/preview', { path: name })
    expect(await answer.json()).toMatchObject({ text: 'quoted', path: name })
    const scripts = scene.server.calls.flatMap(({ body }) => body['script'] ?? [])
    expect(new Set(scripts)).toEqual(new Set(['exec python3 -I -S -c "$ATRIUM_SESSION_READER"']))
  })

  it('asks for the windows of a large answer, and carries base64 once', async () => {
    scene.server.toldBytes = 0
    const answer = await download()
    const { content_base64 } = (await answer.json()) as { content_base64: string }
    expect(Buffer.from(content_base64, 'base64').equals(Buffer.alloc(2 * MIB, 'large'))).toBe(true)
    expect(scene.server.toldBytes).toBeLessThan(2 * MIB * 1.36)
    expect(callsOf('POST', '/wait')).toBeGreaterThan(1)
  })

  it('gives up after 64 windows', async () => {
    const before = callsOf('POST', '/wait')
    scene.server.tamper = (result) => ({ ...result, output: 'x', truncated: true })
    expect(await refusal(await preview())).toMatchObject({ status: 502, code: 'reader_failed' })
    expect(callsOf('POST', '/wait') - before).toBe(63)
  })

  it.each([
    ['that repeats itself', (at: number) => ({ offset: at % 2 })],
    ['whose words are cut', (at: number) => ({ output: at === 0 ? undefined : 'garbage' })],
  ])('gives nothing of a host %s for an answer', async (_, lie) => {
    let at = 0
    scene.server.tamper = (result) => {
      const lies = Object.entries(lie(at)).filter(([, value]) => value !== undefined)
      at += 1
      return { ...result, ...Object.fromEntries(lies) }
    }
    expect(await refusal(await download())).toMatchObject({ status: 502, code: 'reader_failed' })
  })

  it.each(['/v1/jobs/run', '/wait'])(
    'says nothing of what a host says that refuses %s',
    async (call) => {
      scene.server.misbehave = ({ method, path }, response) => {
        if (method !== 'POST' || !path.endsWith(call)) return false
        response.writeHead(500).end('{"error":{"code":"SPILL","message":"SPILL"}}')
        return true
      }
      const { status, code, error } = await refusal(await download())
      const words = 'the job-control host could not be asked'
      expect({ status, code, error }).toEqual({ status: 502, code: 'shellctl_error', error: words })
    },
  )

  it('answers when a job cannot be deleted, and says so in the log', async () => {
    scene.server.misbehave = ({ method }, response) => {
      if (method === 'DELETE') response.writeHead(503).end('{}')
      return method === 'DELETE'
    }
    expect((await preview()).status).toBe(200)
    const isLogged = (line: string) => line.includes('job_control.delete_failed')
    await eventually(() => scene.platform.logLines().some(isLogged))
    scene.server.misbehave = () => false
    for (const id of scene.server.left) {
      const host = { url: scene.server.url, token: new Secret(scene.server.token) }
      await scene.platform.deps.shellctl.delete(host, id)
    }
  })

  it('deletes the job of a client that leaves before the host has said which it is', async () => {
    scene.server.prelude = 'sleep 600; '
    const leaving = new AbortController()
    const left = expect(preview({ signal: leaving.signal })).rejects.toThrow()
    await eventually(() => scene.server.left.length === 1)
    leaving.abort()
    await left
  })

  it('deletes the job of a client that leaves while it runs', async () => {
    scene.server.prelude = 'echo first; sleep 600; '
    const before = callsOf('POST', '/wait')
    const leaving = new AbortController()
    const left = expect(preview({ signal: leaving.signal })).rejects.toThrow()
    await eventually(() => callsOf('POST', '/wait') > before)
    leaving.abort()
    await left
  })

  it('runs four jobs of a workspace at once, and the others after them', async () => {
    scene.server.mostJobs = 0
    scene.server.prelude = 'sleep 0.1; '
    const answers = await Promise.all(Array.from({ length: 7 }, () => preview()))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => 200))
    expect(scene.server.mostJobs).toBe(4)
  })

  it('ends an operation in bounded time, whatever 64 windows of 20 s would be', async () => {
    scene.server.prelude = 'sleep 600; '
    const failure = await answeredIn(500)
    expect(failure).toBeInstanceOf(AppError)
    expect(failure).toMatchObject({ code: 'reader_failed' })
    // As at the end of the platform: what is still to be deleted is waited for.
    await scene.platform.deps.tracker.drain()
    expect(scene.server.left).toEqual([])
  })

  it('waits no longer than it says for the id of a job that nobody wants any more', async () => {
    let hanging: ServerResponse | undefined
    scene.server.misbehave = ({ path }, response) => {
      hanging = response
      return path === '/v1/jobs/run'
    }
    const waits: number[] = []
    const sleep = async (ms: number): Promise<void> => {
      waits.push(ms)
    }
    const clock = { ...scene.platform.deps.clock, sleep }
    const door = await openDoor(LIMITS, { ...scene.platform.deps, clock })
    const client = door.ask()
    await eventually(() => hanging !== undefined)
    client.leave()
    await eventually(() => hanging?.destroyed === true)
    expect(waits).toEqual([5_000])
    await door.close()
  })

  it.each([
    ['a workspace', { maxContents: 16, held: 4, isOther: false }],
    ['all of them', { maxContents: 2, held: 2, isOther: true }],
  ])(
    'holds so many windows of files for clients of %s that do not take them, and no more',
    async (_, { maxContents, held, isOther }) => {
      const door = await openDoor({ ...LIMITS, maxContents })
      const runs = callsOf('POST', '/run')
      const clients = Array.from({ length: held }, () => door.ask())
      await Promise.all(clients.map(({ head }) => head))
      const [first] = clients
      const next = door.ask(isOther ? randomUUID() : undefined)
      // Who asks for less is not held up by them.
      expect((await preview()).status).toBe(200)
      expect(callsOf('POST', '/run') - runs).toBe(held + 1)
      first?.leave()
      await next.head
      await door.close()
    },
  )

  /** What an operation throws that may take so long. */
  async function answeredIn(operationTimeoutMs: number): Promise<unknown> {
    const door = await openDoor({ operationTimeoutMs, maxContents: 1 }, undefined, 'preview')
    await door.ask().head
    await door.close()
    return door.failed
  }

  /** The transport alone, behind a socket that holds little: what is not read is not taken. */
  async function openDoor(
    limits: { readonly operationTimeoutMs: number; readonly maxContents: number },
    deps = scene.platform.deps,
    kind: 'preview' | 'content' = 'content',
  ) {
    const transport = createShellctlTransport(deps, limits)
    const host = { url: scene.server.url, token: new Secret(scene.server.token) }
    const call = await callOf(kind)
    const failed = Promise.withResolvers<unknown>()
    const server = createServer((incoming, outgoing) => {
      const gone = new AbortController()
      outgoing.once('close', () => gone.abort(new Error('gone')))
      const id = workspaceIdSchema.parse(incoming.url?.slice(1))
      transport(host)
        .answer(
          { ...call, workspace: { ...call.workspace, id } },
          { incoming, outgoing, signal: gone.signal },
        )
        .catch(failed.resolve)
        .finally(() => outgoing.end())
    })
    const socketPath = join(scene.server.home, 'door')
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve)
    })
    const asked: ClientRequest[] = []
    return {
      failed: failed.promise,
      ask(workspaceId = scene.workspaceId) {
        const request = get({ socketPath, path: `/${workspaceId}`, agent: false })
        asked.push(request)
        const head = new Promise((resolve) => {
          request.once('response', resolve).on('error', () => undefined)
        })
        return { head, leave: () => request.destroy() }
      },
      async close() {
        for (const request of asked) request.destroy()
        await new Promise((resolve) => {
          server.close(resolve)
        })
      },
    }
  }

  async function callOf(kind: 'preview' | 'content'): Promise<SessionCall> {
    const { db } = scene.platform.deps
    const workspace = await getWorkspace(db, workspaceIdSchema.parse(scene.workspaceId))
    const verdict = parseSessionPath(['large'])
    if (!isSessionId(SESSION) || !verdict.ok) throw new Error('no path')
    const operation = { kind, window: { offset: 0, limit: MIB / 2 } } as const
    return { workspace, session: SESSION, path: verdict.path, operation, requestId: 'r' }
  }
})
