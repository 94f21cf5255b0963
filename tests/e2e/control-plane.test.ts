/**
 * The story of a hosted installation: a platform that starts nothing itself, a control plane that
 * starts machines, and real runtimes in them. Whatever dies, each workspace has one machine, and a
 * workspace that was removed has none.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ControlPlane } from '../support/control-plane/control-plane.ts'
import type { Machine } from '../support/control-plane/machine.ts'
import { eventually } from '../support/eventually.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'

let controlPlane: ControlPlane
let platform: PlatformProcess

/** A run that a killed platform had claimed is its own for half a minute: the length of a lease. */
const IN_A_WHILE_MS = 120_000

beforeEach(async () => {
  controlPlane = new ControlPlane({ net: 80 })
  controlPlane.tenantConfig = {
    MOLECULE_CP_SHARED_SECRET: controlPlane.sharedSecret,
    ADMIN_TOKEN: 'whoever-asks-for-it',
  }
  await controlPlane.start()
  platform = await startPlatform({ env: env() })
})
afterEach(async () => {
  try {
    await platform.stop()
  } finally {
    await controlPlane.stop()
    expect(controlPlane.machines().flatMap((machine) => machine.pids())).toEqual([])
  }
})

/** With a secret that is out of date: the tenant's configuration has the current one. */
const env = () => ({
  ...controlPlane.platformEnv,
  MOLECULE_CP_SHARED_SECRET: 'out-of-date',
  ATRIUM_SWEEP_INTERVAL_MS: '500',
})

function api(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${controlPlane.adminToken}`)
  // A platform of one organisation is not there for others.
  headers.set('x-molecule-org-id', controlPlane.orgId)
  return fetch(`${platform.url}${path}`, { ...init, headers })
}

async function create(name: string): Promise<string> {
  const answer = await api('/workspaces', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, runtime: 'echo' }),
  })
  expect(answer.status).toBe(201)
  return ((await answer.json()) as { id: string }).id
}

type Row = { readonly status: string; readonly url: string | null }

async function rowOf(id: string): Promise<Row> {
  return (await (await api(`/workspaces/${id}`)).json()) as Row
}

/** Resolves when the workspace is online, on the machine that is returned. */
async function onlineOn(id: string, other?: Machine): Promise<Machine> {
  return eventually(async () => {
    const [machine, ...more] = controlPlane.existing(id)
    if (machine === undefined || machine === other || more.length > 0) return undefined
    const { status, url } = await rowOf(id)
    const isThere = url?.startsWith(`http://${machine.address}:`) === true
    return status === 'online' && isThere ? machine : undefined
  }, IN_A_WHILE_MS)
}

async function upload(id: string, name: string, text: string): Promise<string> {
  const form = new FormData()
  form.append('files', new Blob([text]), name)
  const answer = await api(`/workspaces/${id}/chat/uploads`, { method: 'POST', body: form })
  expect(answer.status).toBe(200)
  const { files } = (await answer.json()) as { files: { uri: string }[] }
  return files[0]?.uri.replace('workspace:', '') ?? ''
}

async function download(id: string, path: string): Promise<string> {
  const answer = await api(`/workspaces/${id}/chat/download?path=${encodeURIComponent(path)}`)
  expect(answer.status).toBe(200)
  return answer.text()
}

async function remove(id: string): Promise<void> {
  const answer = await api(`/workspaces/${id}?confirm=true`, { method: 'DELETE' })
  expect(answer.status).toBe(200)
  expect(controlPlane.existing(id)).toEqual([])
}

describe('a workspace on a machine', () => {
  it('is created, used, dies, comes back by itself, and leaves nothing', async () => {
    const id = await create('hosted')
    const first = await onlineOn(id)
    expect(await download(id, await upload(id, 'hello.txt', 'hello'))).toBe('hello')
    const console = await api(`/workspaces/${id}/console`)
    expect(JSON.stringify(await console.json())).toContain('runtime.listening')

    await first.kill()
    const second = await onlineOn(id, first)
    expect(second.env['ATRIUM_GENERATION']).toBe('2')
    expect(second.env['ATRIUM_AUTH_TOKEN']).not.toBe(first.env['ATRIUM_AUTH_TOKEN'])
    expect(first.state).toBe('terminated')
    expect(await download(id, await upload(id, 'again.txt', 'again'))).toBe('again')

    await remove(id)
    expect([first, second].flatMap((machine) => machine.pids())).toEqual([])
  })

  it('goes on without its platform, and is found by the next one', async () => {
    const id = await create('survivor')
    const machine = await onlineOn(id)
    const path = await upload(id, 'kept.txt', 'kept')
    const pids = machine.pids()
    await platform.kill()
    expect(machine.pids()).toEqual(pids)
    platform = await startPlatform({ env: env(), after: platform })
    expect(await download(id, path)).toBe('kept')
    expect(await onlineOn(id)).toBe(machine)
    await remove(id)
  })

  it('has one machine when the platform dies between the request and its answer', async () => {
    let isOver = false
    controlPlane.fault = ({ name }) => {
      if (name !== 'provision' || isOver) return undefined
      isOver = true
      return { kind: 'done-then-hang' }
    }
    const id = await create('interrupted')
    const orphan = await eventually(() => controlPlane.existing(id)[0])
    await platform.kill()
    platform = await startPlatform({ env: env(), after: platform })
    const machine = await onlineOn(id, orphan)
    expect(orphan.state).toBe('terminated')
    expect(controlPlane.existing(id)).toEqual([machine])
    await remove(id)
  })

  it('is not removed while the control plane refuses, and is when it gives in', async () => {
    const id = await create('stubborn')
    await onlineOn(id)
    controlPlane.fault = ({ name }) =>
      name === 'remove' ? { kind: 'status', status: 503 } : undefined
    const answer = await api(`/workspaces/${id}?confirm=true`, { method: 'DELETE' })
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ code: 'stop_failed' })
    expect(controlPlane.existing(id)).toHaveLength(1)
    controlPlane.fault = () => undefined
    await eventually(() => controlPlane.existing(id).length === 0, IN_A_WHILE_MS)
  })

  it('fails in words that say nothing of the control plane, and leaves no machine', async () => {
    controlPlane.fault = ({ name }) =>
      name === 'provision'
        ? { kind: 'status', status: 500, body: { error: 'no capacity in zone-7' } }
        : undefined
    const id = await create('refused')
    await eventually(async () => (await rowOf(id)).status === 'failed', IN_A_WHILE_MS)
    const text = await (await api(`/workspaces/${id}`)).text()
    expect(text).toContain('"status_reason":"provisioning failed"')
    expect(text).not.toContain('zone-7')
    expect(controlPlane.existing(id)).toEqual([])
  })
})
