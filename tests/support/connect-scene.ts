/** @module A workspace, somebody who writes to it, and `atrium connect` behind a hop that can be cut. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
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

export type ConnectPlace = {
  /** Which other than the scene's own. */
  readonly workspace?: ExternalWorkspace
  readonly stateHome?: string
  readonly env?: Record<string, string>
}

/** Starts connect with these arguments. */
export function connectWith(args: readonly string[], place: ConnectPlace = {}): ConnectProcess {
  const { id, authToken } = place.workspace ?? workspace
  const started = startConnect({
    url: gate.url,
    workspaceId: id,
    token: authToken,
    stateHome: place.stateHome ?? home,
    args,
    ...(place.env === undefined ? {} : { env: place.env }),
  })
  running.push(started)
  return started
}

/** Starts connect with this command as the agent. */
export function connect(command: string, ...args: readonly string[]): ConnectProcess {
  return connectWith(['--exec', command, ...args])
}

/** A command that notes each of its runs and repeats what it was told. */
export const noted = (): string => `echo run >> ${join(home, 'runs')}; cat`

/** How often that command was run. */
export function runs(): number {
  const path = join(home, 'runs')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}

/** Sends a text to the workspace, as the operator unless told otherwise; returns the message's id. */
export async function say(text: string, as?: string, metadata?: object): Promise<string> {
  const messageId = `say-${text}`
  const message = { role: 'user', messageId, parts: [{ kind: 'text', text }], metadata }
  const body = { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message } }
  const answer = await platform.json(`/workspaces/${workspace.id}/a2a`, body, as)
  expect(await answer.json()).toMatchObject({ status: 'queued' })
  return messageId
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
