/** @module Sessions that are looked into through a real platform, over either of its transports. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { type PlatformHarness, startPlatformHarness } from './platform-harness.ts'
import { expectOpenFiles, openFiles, startRuntimeHarness } from './runtime-harness.ts'
import { ShellctlServer } from './shellctl-server.ts'

export type SessionScene = {
  readonly platform: PlatformHarness
  /** The folder that sessions lie in, on this machine. */
  readonly sessions: string
  /** `operation`: empty, `/preview` or `/download`. */
  get(
    session: string,
    operation: string,
    query?: Readonly<Record<string, string>>,
    init?: RequestInit,
  ): Promise<Response>
  /** How often the other side was asked. */
  asked(): number
  /** Whether what nobody may read is forbidden to who reads: not to root. */
  readonly canForbid: boolean
  /** Fails when something is left over of what was asked. */
  expectQuiet(): Promise<void>
  stop(): Promise<void>
}

const ENV = { ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' }

/** A workspace whose runtime answers, in this very process. */
export async function startRuntimeScene(): Promise<SessionScene> {
  const platform = await startPlatformHarness(ENV)
  let asked = 0
  const runtime = await startRuntimeHarness({
    acceptedSecrets: () => {
      asked += 1
      return [workspace.inboundSecret]
    },
  })
  const workspace = await platform.onlineWorkspace(runtime.url)
  const before = openFiles()
  return {
    platform,
    sessions: runtime.local('/workspace'),
    get: getter(platform, workspace.id),
    asked: () => asked,
    canForbid: process.getuid?.() !== 0,
    expectQuiet: () => expectOpenFiles(before),
    async stop() {
      await platform.stop()
      await runtime.stop()
    },
  }
}

export type ShellctlScene = SessionScene & {
  readonly server: ShellctlServer
  readonly workspaceId: string
}

/** A workspace that has a host with job control and nothing else. */
export async function startShellctlScene(python: string): Promise<ShellctlScene> {
  const platform = await startPlatformHarness(ENV)
  const server = await ShellctlServer.start({ python, basePath: '/host' })
  const sessions = join(server.home, 'workspace')
  mkdirSync(sessions, { recursive: true })
  const created = await platform.json('/workspaces', { name: 'far', external: true })
  const { id } = (await created.json()) as { id: string }
  const put = await platform.request(`/workspaces/${id}/job-control`, {
    method: 'PUT',
    body: JSON.stringify({ url: server.url.href, token: server.token }),
    headers: { 'content-type': 'application/json' },
  })
  if (!put.ok) throw new Error(await put.text())
  return {
    platform,
    server,
    workspaceId: id,
    sessions,
    get: getter(platform, id),
    asked: () => server.calls.length,
    canForbid: true,
    expectQuiet: async () => {
      await eventually(() => server.left.length === 0, 5_000)
    },
    async stop() {
      await platform.stop()
      await server.stop()
    },
  }
}

function getter(platform: PlatformHarness, id: string): SessionScene['get'] {
  return (session, operation, query = {}, init = {}) => {
    const search = new URLSearchParams(query).toString()
    const path = `/workspaces/${id}/sessions/${session}/files${operation}`
    return platform.request(search === '' ? path : `${path}?${search}`, init)
  }
}
