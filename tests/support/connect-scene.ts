/** @module A workspace, somebody who writes to it, and `atrium connect` behind a hop that can be cut. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { type ConnectProcess, startConnect } from './connect-process.ts'
import { type ExternalWorkspace, externalWorkspace, feed } from './external-workspace.ts'
import { type HttpGate, startHttpGate } from './http-gate.ts'
import { platform } from './shared-platform.ts'

export let workspace: ExternalWorkspace
export let gate: HttpGate
/** Where connect remembers and its commands may write. */
export let home: string

let running: ConnectProcess[] = []

/** Every test of the calling file gets a scene of its own; the file shares a platform. */
export function provideConnectScene(): void {
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'atrium-connect-'))
    workspace = await externalWorkspace({}, false)
    gate = await startHttpGate(platform.url)
    running = []
  })
  afterEach(async () => {
    for (const each of running) each.signal('SIGKILL')
    await Promise.all(running.map((each) => each.ended))
    await gate.close()
    await rm(home, { recursive: true, force: true })
  })
}

/** Starts connect from the oldest message on, so that what it does depends on no moment. */
export function connect(command: string, ...args: readonly string[]): ConnectProcess {
  const started = startConnect({
    url: gate.url,
    workspaceId: workspace.id,
    token: workspace.authToken,
    stateHome: home,
    args: ['--exec', command, ...args],
  })
  running.push(started)
  return started
}

/** Sends a text to the workspace, as the operator unless told otherwise. */
export async function say(text: string, as?: string): Promise<void> {
  const message = { role: 'user', messageId: `say-${text}`, parts: [{ kind: 'text', text }] }
  const body = { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message } }
  await platform.json(`/workspaces/${workspace.id}/a2a`, body, as)
}

/** Everything its agent has told its people, in order. */
export async function told(): Promise<unknown[]> {
  const texts: unknown[] = []
  let query = 'from=start&limit=500'
  for (;;) {
    const rows = await feed(workspace, query)
    if (rows.length === 0) return texts
    const notified = rows.filter((row) => row.method === 'notify')
    texts.push(...notified.map((row) => row.response_body?.['result']))
    query = `since_id=${rows.at(-1)?.id}&limit=500`
  }
}
