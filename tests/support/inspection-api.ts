/** @module The inspector's routes of a platform, to and from a workspace that the test plays. */
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import type { OnlineWorkspace } from './platform-harness.ts'
import { platform, sharePlatform } from './shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from './workspace-server.ts'

export let box: WorkspaceServer
export let workspace: OnlineWorkspace

let connections = 0

/** One for all tests of the calling file; each finds it as if nobody had asked it anything. */
export function provideInspectedWorkspace(): void {
  sharePlatform({
    ATRIUM_IDLE_TIMEOUT_MS: '10000',
    ATRIUM_HEADERS_TIMEOUT_MS: '3000',
    ATRIUM_ALLOW_LOOPBACK_AGENTS: '1',
  })
  beforeAll(async () => {
    box = await startWorkspaceServer()
    box.server.on('connection', () => {
      connections += 1
    })
    workspace = await platform.onlineWorkspace(box.url)
  })
  beforeEach(() => {
    box.server.closeAllConnections()
    connections = 0
    box.requests.length = 0
    answerJson('{}')
  })
  afterAll(async () => {
    await box.close()
  })
}

/** Fails when the workspace has noticed anything of this test. */
export function expectUntouched(): void {
  expect([connections, box.requests.length]).toEqual([0, 0])
}

/** What the workspace answers from now on. */
export function answerJson(body: string): void {
  box.answer = (_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
}

type InspectionInit = RequestInit & { readonly as?: string | null }

/** `rest` is what follows `/workspaces/:id/`, exactly as it is to be sent. */
export const inspect = (id: string, rest: string, init: InspectionInit = {}): Promise<Response> =>
  platform.request(`/workspaces/${id}/${rest}`, init)

/** The same with a query of decoded values. */
export const inspectPath = (
  id: string,
  route: string,
  asked: Readonly<Record<string, string>>,
  init: InspectionInit = {},
): Promise<Response> => inspect(id, `${route}?${new URLSearchParams(asked)}`, init)

/** The id of no workspace. */
export const UNKNOWN = '00000000-0000-4000-8000-000000000000'
