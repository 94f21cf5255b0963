/** Restart, pause, resume, hibernate, wake (contract/platform 7.6) over real sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'
import { create, provideWorkspacesApi, read, remove } from '../../support/workspaces-api.ts'

provideWorkspacesApi()

let box: WorkspaceServer
beforeAll(async () => {
  box = await startWorkspaceServer()
})
afterAll(async () => {
  await box.close()
})

const ask = (id: string, verb: string, as?: string) =>
  platform.json(`/workspaces/${id}/${verb}`, {}, as)

const startsOf = (id: string) => platform.provisioner.starts.filter((s) => s.workspaceId === id)

async function statusIs(id: string, status: string): Promise<void> {
  await eventually(async () => (await read(id)).status === status)
}

async function beat(id: string, token: string, fields: Record<string, unknown> = {}) {
  return platform.json('/registry/heartbeat', { workspace_id: id, ...fields }, token)
}

/** Waits until nothing is asked of the workspace any more. */
async function settled(id: string): Promise<void> {
  await eventually(async () => {
    const rows = await platform.client.sql`SELECT 1 FROM lifecycle_runs WHERE workspace_id = ${id}`
    return rows.length === 0
  })
}

describe('POST /workspaces/:id/restart', () => {
  it('ends the box, starts the next generation and answers as the contract says', async () => {
    const { id, authToken } = await platform.onlineWorkspace(box.url)
    const answer = await ask(id, 'restart', authToken)
    expect(await answer.json()).toEqual({
      status: 'provisioning',
      config_dir: 'existing-volume',
      reset_session: false,
    })
    await eventually(() => startsOf(id).length === 2)
    expect(platform.provisioner.stopped).toContain(id)
    expect(startsOf(id)[1]?.generation).toBe(2)
    expect((await beat(id, authToken)).status).toBe(401)
  })

  it('asked for by many at once starts one box, or one more', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(id, 'restart')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await settled(id)
    expect(startsOf(id).length).toBeGreaterThanOrEqual(2)
    expect(startsOf(id).length).toBeLessThanOrEqual(3)
  })

  it('asked for during a start is honoured, whether that start comes up or not', async () => {
    for (const ends of ['up', 'down']) {
      const first = Promise.withResolvers<string>()
      platform.provisioner.endpoint = () => first.promise
      const { id } = await create({ name: 'twice' })
      await eventually(() => startsOf(id).length === 1)
      platform.provisioner.endpoint = () => box.url
      await ask(id, 'restart')
      if (ends === 'up') first.resolve(box.url)
      else first.reject(new Error('no such image'))
      await eventually(() => startsOf(id).length === 2)
      await settled(id)
      expect([ends, (await read(id)).status]).toEqual([ends, 'provisioning'])
      expect(startsOf(id)).toHaveLength(2)
    }
  })

  it('hands PARENT_ID down again (weakness 26: lost on restart upstream)', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    await settled(child.id)
    await ask(child.id, 'restart')
    await eventually(() => startsOf(child.id).length === 2)
    expect(startsOf(child.id)[1]?.env['PARENT_ID']).toBe(parent.id)
    expect(startsOf(parent.id)[0]?.env).not.toHaveProperty('PARENT_ID')
  })

  it('refuses unknown, external and templated ones, and children of a paused parent', async () => {
    const unknown = await ask('11111111-1111-4111-8111-111111111111', 'restart')
    expect([unknown.status, await unknown.json()]).toMatchObject([
      404,
      { error: 'workspace not found' },
    ])
    const external = await create({ name: 'x', external: true })
    // W22: upstream provisioned a container for it.
    expect((await ask(external.id, 'restart')).status).toBe(409)
    const parent = await create({ name: 'boss "of" all' })
    const child = await create({ name: 'c', parent_id: parent.id })
    await ask(parent.id, 'pause')
    const refused = await ask(child.id, 'restart')
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      {
        error: 'parent workspace "boss "of" all" is paused — resume it first',
        code: 'parent_paused',
      },
    ])
    const templated = await platform.json(`/workspaces/${parent.id}/restart`, { template: 'x' })
    expect(templated.status).toBe(400)
  })

  it('says at once that there is no back-end', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.name = 'none'
    try {
      const answer = await ask(id, 'restart')
      expect([answer.status, await answer.json()]).toMatchObject([
        503,
        { error: 'provisioner not available' },
      ])
      expect((await read(id)).status).toBe('online')
    } finally {
      platform.provisioner.name = 'process'
    }
  })

  it('W22: does not start a second box while the first one cannot be ended', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.failStop = true
    await ask(id, 'restart')
    await eventually(async () => {
      const rows = await platform.client.sql`
        SELECT last_error FROM lifecycle_runs WHERE workspace_id = ${id}`
      return rows[0]?.['last_error'] !== null
    })
    expect(startsOf(id)).toHaveLength(1)
    platform.provisioner.failStop = false
    await eventually(() => startsOf(id).length === 2)
  })
})

describe('pause and resume', () => {
  it('take the subtree along, keep what it stored, and no beat wakes it', async () => {
    const parent = await platform.onlineWorkspace(box.url)
    const child = await platform.onlineWorkspace(box.url, { parent_id: parent.id })
    const paused = await ask(parent.id, 'pause')
    expect(await paused.json()).toEqual({ status: 'paused', paused_count: 2 })
    for (const { id } of [parent, child]) {
      await settled(id)
      expect(platform.provisioner.running.has(id)).toBe(false)
      expect(platform.provisioner.removedVolumes).not.toContain(id)
    }
    // W12: upstream's beat or registration flipped it back.
    expect((await beat(child.id, child.authToken)).status).toBe(200)
    const card = { id: child.id, url: box.url, agent_card: { name: 'a' } }
    await platform.json('/registry/register', card, child.authToken)
    expect((await read(child.id)).status).toBe('paused')
    const again = await ask(parent.id, 'pause')
    expect([again.status, await again.json()]).toMatchObject([
      404,
      { error: 'workspace not found or already paused' },
    ])
    const early = await ask(child.id, 'resume')
    expect(early.status).toBe(409)
    const resumed = await ask(parent.id, 'resume')
    expect(await resumed.json()).toEqual({ status: 'provisioning', resumed_count: 2 })
    await eventually(() => startsOf(child.id).length === 2 && startsOf(parent.id).length === 2)
    expect((await ask(parent.id, 'resume')).status).toBe(404)
  })

  it('give a new box to one whose old box had not ended when it was resumed', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.failStop = true
    await ask(id, 'pause')
    await ask(id, 'resume')
    platform.provisioner.failStop = false
    await eventually(() => startsOf(id).length === 2)
    await settled(id)
    expect(await read(id)).toMatchObject({ status: 'provisioning', url: box.url })
  })

  it('leave an external workspace waiting for its agent', async () => {
    const external = await create({ name: 'x', external: true })
    await ask(external.id, 'pause')
    expect((await read(external.id)).status).toBe('paused')
    await ask(external.id, 'resume')
    expect((await read(external.id)).status).toBe('awaiting_agent')
    expect(startsOf(external.id)).toHaveLength(0)
  })

  it('end a start in progress', async () => {
    const { promise: never } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => never
    const { id } = await create({ name: 'half' })
    await eventually(() => startsOf(id).length === 1)
    await ask(id, 'pause')
    await settled(id)
    expect((await read(id)).status).toBe('paused')
    expect(platform.provisioner.running.has(id)).toBe(false)
  })
})

describe('hibernate and wake', () => {
  it('W19: ends the box; the next request for it brings it back', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    expect(await (await ask(id, 'hibernate')).json()).toEqual({ status: 'hibernated' })
    await statusIs(id, 'hibernated')
    expect(platform.provisioner.running.has(id)).toBe(false)
    const waking = await platform.request(`/workspaces/${id}/chat/download?path=/workspace/a`)
    expect([waking.status, waking.headers.get('retry-after'), await waking.json()]).toMatchObject([
      503,
      '15',
      {
        error: 'workspace is waking from hibernation — retry in ~15 seconds',
        waking: true,
        retry_after: 15,
      },
    ])
    await eventually(() => startsOf(id).length === 2)
  })

  it('W19: with active tasks needs force, and then really ends them', async () => {
    const { id, authToken } = await platform.onlineWorkspace(box.url)
    await beat(id, authToken, { active_tasks: 3 })
    const busy = await ask(id, 'hibernate')
    expect([busy.status, await busy.json()]).toMatchObject([
      409,
      {
        error: 'workspace has active tasks; use ?force=true to terminate them',
        active_tasks: 3,
      },
    ])
    await ask(id, 'hibernate?force=true')
    await statusIs(id, 'hibernated')
    expect(await read(id)).toMatchObject({ active_tasks: 0 })
  })

  it('refuse what is not awake, and a wake of one that is changes nothing', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    expect(await (await ask(id, 'wake')).json()).toEqual({ status: 'awake' })
    await ask(id, 'pause')
    const refused = await ask(id, 'hibernate')
    expect([refused.status, await refused.json()]).toMatchObject([
      404,
      {
        error: 'workspace not found or not in a hibernatable state (must be online or degraded)',
      },
    ])
  })
})

describe('a box of another back-end', () => {
  it('is neither passed over nor started a second time', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.name = 'docker'
    try {
      await ask(id, 'restart')
      await eventually(async () => {
        const rows = await platform.client.sql`
          SELECT last_error FROM lifecycle_runs WHERE workspace_id = ${id}`
        return String(rows[0]?.['last_error']).includes('held by the back-end process')
      })
      expect(startsOf(id)).toHaveLength(1)
      expect((await remove(id)).status).toBe(500)
    } finally {
      platform.provisioner.name = 'process'
    }
    expect((await remove(id, '?purge=true')).status).toBe(200)
  })
})
