/**
 * Two replicas before one control plane, with many machines: each workspace has exactly one, whoever
 * dies, and none when it is removed. `ATRIUM_SOAK_WORKSPACES=200` for the whole number.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ControlPlane } from '../support/control-plane/control-plane.ts'
import { LightMachine } from '../support/control-plane/light-machine.ts'
import { eventually } from '../support/eventually.ts'
import { type FrontDoor, openFrontDoor } from '../support/front-door.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { recordSecret } from '../support/secret-ledger.ts'

const WORKSPACES = Number(process.env['ATRIUM_SOAK_WORKSPACES'] ?? '24')
const WITHIN_MS = 150_000

let controlPlane: ControlPlane
let door: FrontDoor
let first: PlatformProcess
let second: PlatformProcess
let env: Record<string, string>

beforeAll(async () => {
  controlPlane = new ControlPlane({
    net: 82,
    make: (input) => new LightMachine(input, { beatEveryMs: 5_000 }),
  })
  await controlPlane.start()
  door = await openFrontDoor()
  const encryptionKey = randomBytes(32).toString('base64')
  recordSecret(encryptionKey)
  env = {
    ...controlPlane.platformEnv,
    ATRIUM_ENCRYPTION_KEY: encryptionKey,
    PLATFORM_URL: door.url,
    ATRIUM_SWEEP_INTERVAL_MS: '1000',
    RATE_LIMIT: '1000000',
  }
  first = await startPlatform({ env })
  second = await startPlatform({ env, after: asReplica(first) })
  door.behind = [first.url, second.url]
})
afterAll(async () => {
  await second?.stop()
  await first?.stop()
  await controlPlane?.stop()
  await door?.close()
})

/** The same database, which is the first one's to drop, and a folder of its own. */
function asReplica({ database }: PlatformProcess) {
  const dataDir = mkdtempSync(join(tmpdir(), 'atrium-platform-'))
  return { dataDir, database: { ...database, drop: async () => undefined } }
}

async function api(path: string, init: RequestInit = {}): Promise<unknown> {
  const answer = await fetch(`${door.url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${controlPlane.adminToken}`,
      'x-molecule-org-id': controlPlane.orgId,
      'content-type': 'application/json',
      // One connection each, so that the replicas take turns.
      connection: 'close',
    },
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

async function create(count: number): Promise<void> {
  const body = JSON.stringify({ name: 'many', runtime: 'echo' })
  for (let made = 0; made < count; made += 1) await api('/workspaces', { method: 'POST', body })
}

type Listed = { readonly id: string; readonly status: string; readonly url: string | null }
const list = async () => (await api('/workspaces')) as readonly Listed[]

/** Everybody is online, each at the address of the only machine that exists for it. */
async function allOnline(count: number): Promise<void> {
  await eventually(async () => {
    const rows = await list()
    const machines = controlPlane.existing()
    if (rows.length !== count || machines.length !== count) return false
    const addressOf = new Map(machines.map((each) => [each.workspaceId, each.address]))
    return rows.every(
      ({ id, status, url }) =>
        status === 'online' && url?.startsWith(`http://${addressOf.get(id)}:`) === true,
    )
  }, WITHIN_MS)
}

it('keeps one machine for each of many workspaces, whatever dies, and none in the end', async () => {
  await create(WORKSPACES)
  await allOnline(WORKSPACES)

  // A replica dies in the middle of starts; what it had claimed is taken over.
  await create(Math.ceil(WORKSPACES / 4))
  await second.kill()
  const total = WORKSPACES + Math.ceil(WORKSPACES / 4)
  await allOnline(total)

  // Machines die while both look.
  second = await startPlatform({ env, after: second })
  door.behind = [first.url, second.url]
  const dying = controlPlane.existing().filter((_, index) => index % 5 === 0)
  await Promise.all(dying.map((machine) => machine.kill()))
  await eventually(() => dying.every((machine) => machine.state === 'terminated'), WITHIN_MS)
  await allOnline(total)

  for (const { id } of await list())
    await api(`/workspaces/${id}?confirm=true`, { method: 'DELETE' })
  expect(controlPlane.existing()).toEqual([])
  expect(controlPlane.doubles).toEqual([])
  const all = controlPlane.machines()
  expect(all.every((machine) => machine.state === 'terminated')).toBe(true)
}, 600_000)
