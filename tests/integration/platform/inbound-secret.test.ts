/** The rotation of the inbound secret, towards workspaces of every age (ADR-0024). */
import { createHash, randomBytes } from 'node:crypto'
import { credentialId } from '@atrium/http-kit/bearer'
import { systemClock } from '@atrium/http-kit/clock'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { noteLetIn } from '../../../apps/platform/src/services/inbound-secret-rotation.ts'
import {
  retireOverdueSecrets,
  rotateAgedSecrets,
} from '../../../apps/platform/src/services/sweep-inbound-secrets.ts'
import { mintInboundSecret } from '../../../apps/platform/src/services/workspace-credentials.ts'
import { eventually } from '../../support/eventually.ts'
import { type OneSlotRuntime, startOneSlotRuntime } from '../../support/one-slot-runtime.ts'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const GRACE_MS = 600_000
const DAY_MS = 86_400_000

let platform: PlatformHarness
let aheadMs = 0

beforeAll(async () => {
  const now = () => new Date(systemClock.now().getTime() + aheadMs)
  platform = await startPlatformHarness({}, { ...systemClock, now })
})
afterAll(() => platform.stop())

type Columns = {
  current: string
  previous: string | null
  delivered: string | null
  acknowledged: string | null
}

const columnsOf = async (id: string): Promise<Columns> => {
  const rows = await platform.client.sql<Columns[]>`
    SELECT inbound_secret_current AS current, inbound_secret_previous AS previous,
      inbound_secret_delivered_at AS delivered, inbound_secret_acknowledged_at AS acknowledged
    FROM workspaces WHERE id = ${id}`
  const [row] = rows
  if (row === undefined) throw new Error('no such workspace')
  return row
}
const stateOf = async (id: string) =>
  (await (await platform.request(`/workspaces/${id}/inbound-secret`)).json()) as Record<
    string,
    unknown
  >
const rotate = (id: string) =>
  platform.request(`/workspaces/${id}/inbound-secret/rotate`, { method: 'POST' })
const download = (id: string) =>
  platform.request(`/workspaces/${id}/chat/download?path=/workspace/a`)
const upload = async (id: string, body: Uint8Array<ArrayBuffer>) => {
  const answer = await platform.request(`/workspaces/${id}/chat/uploads`, { method: 'POST', body })
  const stored = (await answer.json()) as { sha256?: string }
  const sent = createHash('sha256').update(body).digest('hex')
  return { status: answer.status, isIntact: stored.sha256 === sent }
}
/** The back-end delivers it again at once, and the grace begins anew. */
const isDeliveryTakenBack = async (id: string) => {
  const { delivered } = await columnsOf(id)
  return delivered === null || Date.parse(delivered) > Date.now() + aheadMs - GRACE_MS / 2
}
const auditOf = async (id: string, action: string) =>
  platform.client.sql<{ actor: string; reason: string; all: string }[]>`
    SELECT actor_kind AS actor, detail->>'reason' AS reason, audit_events::text AS all
    FROM audit_events WHERE workspace_id = ${id} AND action = ${action} ORDER BY occurred_at`

describe.each([
  ['a runtime that names its secret', true],
  ['a runtime that cannot name its secret', false],
])('towards %s and holds one', (_, namesItsSecret) => {
  let box: OneSlotRuntime
  let workspace: OnlineWorkspace
  const beat = () => box.beat(platform.url, workspace)

  beforeEach(async () => {
    box = await startOneSlotRuntime({ secret: 'none yet', namesItsSecret })
    workspace = await platform.onlineWorkspace(box.url)
    box.secret = workspace.inboundSecret
    await beat()
  })
  afterEach(() => box.close())

  it('answers 202 without the secret, and keeps the old one as the previous', async () => {
    const before = await columnsOf(workspace.id)
    const answer = await rotate(workspace.id)
    expect(answer.status).toBe(202)
    const text = await answer.text()
    expect(JSON.parse(text)).toMatchObject({ workspace_id: workspace.id, rotation: 'pending' })
    const after = await columnsOf(workspace.id)
    expect(after.previous).toBe(before.current)
    expect(after.current).not.toBe(before.current)
    expect(text).not.toContain(workspace.inboundSecret)
    const [row] = await auditOf(workspace.id, 'inbound_secret.rotate')
    expect(row).toMatchObject({ actor: 'admin_token', reason: 'asked' })
    expect(row?.all).not.toContain(workspace.inboundSecret)
  })

  it('hands the new one to the back-end at once', async () => {
    await rotate(workspace.id)
    await eventually(async () => (await stateOf(workspace.id))['rotation'] === 'delivered')
    const written = platform.provisioner.writtenSecrets.filter(
      (w) => w.workspaceId === workspace.id,
    )
    expect(written.at(-1)?.secret).not.toBe(workspace.inboundSecret)
  })

  it('refuses a second rotation while one is under way', async () => {
    await rotate(workspace.id)
    const before = await columnsOf(workspace.id)
    const answer = await rotate(workspace.id)
    expect(answer.status).toBe(409)
    expect(await answer.json()).toMatchObject({ code: 'rotation_in_progress', retryable: true })
    expect((await columnsOf(workspace.id)).current).toBe(before.current)
  })

  it('loses neither a download nor an upload, before or after the workspace has the new one', async () => {
    await rotate(workspace.id)
    expect((await download(workspace.id)).status).toBe(200)
    expect(await upload(workspace.id, randomBytes(100_000))).toEqual({
      status: 200,
      isIntact: true,
    })
    await beat()
    expect(box.secret).not.toBe(workspace.inboundSecret)
    expect(await upload(workspace.id, randomBytes(3_000_000))).toEqual({
      status: 200,
      isIntact: true,
    })
    expect((await download(workspace.id)).status).toBe(200)
  })

  it('ends when a file request was let in with the new one', async () => {
    await rotate(workspace.id)
    await beat()
    await download(workspace.id)
    await eventually(async () => (await stateOf(workspace.id))['rotation'] === 'settled')
    expect(await auditOf(workspace.id, 'inbound_secret.retire')).toMatchObject([
      { actor: 'platform', reason: 'used' },
    ])
    const { refused } = box.seen
    expect((await download(workspace.id)).status).toBe(200)
    expect(box.seen.refused).toBe(refused)
  })

  it('keeps the previous one when a file request shows that the new one never arrived', async () => {
    await rotate(workspace.id)
    const old = box.secret
    await beat()
    // What the answer brought was lost.
    box.secret = old
    aheadMs += GRACE_MS + 1
    expect((await download(workspace.id)).status).toBe(200)
    await eventually(() => isDeliveryTakenBack(workspace.id))
    await retireOverdueSecrets(platform.deps, 100)
    expect((await columnsOf(workspace.id)).previous).not.toBeNull()
    await beat()
    expect(await upload(workspace.id, randomBytes(1_000))).toEqual({ status: 200, isIntact: true })
  })

  it('is offered the other secret for a message too', async () => {
    await rotate(workspace.id)
    await beat()
    const answer = await platform.json(`/workspaces/${workspace.id}/a2a`, {
      jsonrpc: '2.0',
      id: 1,
      method: 'tasks/get',
      params: { id: 'x' },
    })
    // What the stand-in answers is no JSON-RPC: it has let the message in.
    expect(await answer.json()).toMatchObject({
      error: { data: { code: 'workspace_invalid_response' } },
    })
  })
})

describe('a workspace that proves which secret it holds', () => {
  let box: OneSlotRuntime
  let workspace: OnlineWorkspace
  const say = (heldId: string | undefined) =>
    platform
      .json(
        '/registry/heartbeat',
        { workspace_id: workspace.id, inbound_secret_id: heldId },
        workspace.authToken,
      )
      .then((answer) => answer.json() as Promise<{ platform_inbound_secret?: string }>)

  beforeEach(async () => {
    // What other tests have left under way is none of this one's business.
    await platform.client.sql`UPDATE workspaces SET inbound_secret_previous = NULL`
    box = await startOneSlotRuntime({ secret: '', namesItsSecret: true })
    workspace = await platform.onlineWorkspace(box.url)
    box.secret = workspace.inboundSecret
    await say(credentialId(workspace.inboundSecret))
    await rotate(workspace.id)
    await eventually(async () => (await stateOf(workspace.id))['rotation'] === 'delivered')
  })
  afterEach(() => box.close())

  const presented = async (): Promise<'previous' | 'current'> => {
    const before = box.seen.refused
    await download(workspace.id)
    return box.seen.refused === before ? 'previous' : 'current'
  }

  it('is presented the previous one until a beat names the new one, which ends the rotation', async () => {
    const { platform_inbound_secret: offered } = await say(credentialId(workspace.inboundSecret))
    if (offered === undefined) throw new Error('the new secret was not offered')
    expect(await presented()).toBe('previous')
    expect(await say(credentialId(offered))).toEqual({ status: 'ok' })
    expect(await columnsOf(workspace.id)).toMatchObject({ previous: null })
    expect((await columnsOf(workspace.id)).acknowledged).not.toBeNull()
    expect(await auditOf(workspace.id, 'inbound_secret.retire')).toMatchObject([
      { reason: 'named' },
    ])
    expect((await rotate(workspace.id)).status).toBe(202)
  })

  it('may say so with a registration', async () => {
    const { platform_inbound_secret: offered } = await say(undefined)
    const held = credentialId(offered ?? '')
    const card = { id: workspace.id, url: box.url, agent_card: {}, inbound_secret_id: held }
    const answer = await platform.json('/registry/register', card, workspace.authToken)
    expect(await answer.json()).toMatchObject({ platform_inbound_secret: offered })
    expect(await columnsOf(workspace.id)).toMatchObject({ previous: null })
  })

  it('is presented the new one when nothing was proved within the grace, which then ends it', async () => {
    expect(await presented()).toBe('previous')
    await retireOverdueSecrets(platform.deps, 100)
    aheadMs += GRACE_MS + 1
    expect(await presented()).toBe('current')
    // The request has shown that it was not delivered; now it was, a grace ago.
    await eventually(() => isDeliveryTakenBack(workspace.id))
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_delivered_at = now() WHERE id = ${workspace.id}`
    const retirements = await Promise.all([
      retireOverdueSecrets(platform.deps, 10),
      retireOverdueSecrets(platform.deps, 10),
    ])
    expect(retirements.reduce((sum, { retired }) => sum + retired, 0)).toBe(1)
    expect(await columnsOf(workspace.id)).toMatchObject({ previous: null })
    expect(await auditOf(workspace.id, 'inbound_secret.retire')).toMatchObject([
      { reason: 'grace' },
    ])
  })

  it('keeps the previous one for as long as the new one was not delivered', async () => {
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_delivered_at = NULL WHERE id = ${workspace.id}`
    aheadMs += GRACE_MS * 100
    await retireOverdueSecrets(platform.deps, 100)
    expect(await presented()).toBe('previous')
    expect((await rotate(workspace.id)).status).toBe(409)
  })

  it('has proved nothing about this rotation with what a request of before it shows', async () => {
    const { current } = await columnsOf(workspace.id)
    const asRead = { id: workspace.id, inboundSecretCurrent: current }
    // Let in, and refused, by the rotation of before: both are noted only now.
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_current = inbound_secret_previous,
        inbound_secret_previous = inbound_secret_current WHERE id = ${workspace.id}`
    const before = await columnsOf(workspace.id)
    await noteLetIn(platform.deps, { row: asRead, slot: 'current', wasRefused: false })
    await noteLetIn(platform.deps, { row: asRead, slot: 'previous', wasRefused: true })
    expect(await columnsOf(workspace.id)).toEqual(before)
  })

  it('takes nothing back once the rotation has come to its end', async () => {
    const { platform_inbound_secret: offered } = await say(undefined)
    await say(credentialId(offered ?? ''))
    const settled = await columnsOf(workspace.id)
    expect(settled).toMatchObject({ previous: null, delivered: expect.any(String) })
    const row = { id: workspace.id, inboundSecretCurrent: settled.current }
    await noteLetIn(platform.deps, { row, slot: 'previous', wasRefused: true })
    expect(await columnsOf(workspace.id)).toEqual(settled)
  })

  it('is given none by a start that another one has overtaken', async () => {
    const before = await columnsOf(workspace.id)
    const id = workspaceIdSchema.parse(workspace.id)
    expect(await mintInboundSecret(platform.deps, { id, generation: 0 })).toBeUndefined()
    expect(await columnsOf(workspace.id)).toEqual(before)
  })

  it('gets a secret of its own and no previous one when it is started anew', async () => {
    expect(
      (await platform.request(`/workspaces/${workspace.id}/restart`, { method: 'POST' })).ok,
    ).toBe(true)
    await eventually(async () => (await columnsOf(workspace.id)).previous === null)
  })
})

describe('the age of inbound secrets', () => {
  let box: OneSlotRuntime
  const online = async (): Promise<OnlineWorkspace> => {
    const workspace = await platform.onlineWorkspace(box.url)
    await platform.json(
      '/registry/heartbeat',
      { workspace_id: workspace.id, inbound_secret_id: credentialId(workspace.inboundSecret) },
      workspace.authToken,
    )
    return workspace
  }
  const makeOld = (id: string, ms: number) => platform.client.sql`
    UPDATE workspaces SET inbound_secret_minted_at = ${new Date(Date.now() + aheadMs - ms).toISOString()}
     WHERE id = ${id}`

  beforeAll(async () => {
    box = await startOneSlotRuntime({ secret: '', namesItsSecret: true })
  })
  afterAll(() => box.close())

  it('makes each old one rotated once, by whichever replica, in batches', async () => {
    const [young, unproved, away, ...old] = await Promise.all(Array.from({ length: 8 }, online))
    if (!young || !unproved || !away) throw new Error('no workspaces')
    for (const { id } of [unproved, away, ...old]) await makeOld(id, 91 * DAY_MS)
    await makeOld(young.id, 89 * DAY_MS)
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_acknowledged_at = NULL WHERE id = ${unproved.id}`
    await platform.client.sql`UPDATE workspaces SET status = 'offline' WHERE id = ${away.id}`
    const passes = await Promise.all([
      rotateAgedSecrets(platform.deps, 3),
      rotateAgedSecrets(platform.deps, 3),
    ])
    const rotated = passes.map((pass) => pass.rotated)
    expect(Math.max(...rotated)).toBe(3)
    while ((await rotateAgedSecrets(platform.deps, 3)).rotated > 0);
    for (const { id } of old) {
      expect(await auditOf(id, 'inbound_secret.rotate')).toMatchObject([
        { actor: 'platform', reason: 'age' },
      ])
    }
    for (const { id } of [young, unproved, away]) {
      expect(await columnsOf(id)).toMatchObject({ previous: null })
    }
  })

  it('is nobody’s business with 0 days', async () => {
    const { id } = await online()
    await makeOld(id, 1000 * DAY_MS)
    const deps = { ...platform.deps, inboundSecretMaxAgeDays: 0 }
    expect(await rotateAgedSecrets(deps, 10)).toEqual({ rotated: 0 })
  })
})
