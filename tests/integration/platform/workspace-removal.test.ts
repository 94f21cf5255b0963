import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { startPlatformHarness } from '../../support/platform-harness.ts'
import { platform } from '../../support/shared-platform.ts'
import { create, provideWorkspacesApi, read, remove } from '../../support/workspaces-api.ts'

provideWorkspacesApi()

describe('DELETE /workspaces/:id', () => {
  it('stops the box, removes its volume and answers removed', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const answer = await remove(id)
    expect(await answer.json()).toEqual({ status: 'removed', cascade_deleted: 0 })
    expect(platform.provisioner.stopped).toContain(id)
    expect(platform.provisioner.removedVolumes).toContain(id)
    expect((await platform.request(`/workspaces/${id}`)).status).toBe(404)
  })

  it('asks for confirmation when there are children, and then takes them along', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    const grandchild = await create({ name: 'g', parent_id: child.id })
    const asked = await remove(parent.id)
    expect(asked.status).toBe(409)
    expect(await asked.json()).toMatchObject({
      status: 'confirmation_required',
      children_count: 2,
      children: [
        { id: child.id, name: 'c' },
        { id: grandchild.id, name: 'g' },
      ],
    })
    const done = await remove(parent.id, '?confirm=true&purge=true')
    expect(await done.json()).toEqual({ status: 'purged', cascade_deleted: 2 })
    const left = await platform.client.sql`
      SELECT id FROM workspaces WHERE id IN (${parent.id}, ${child.id}, ${grandchild.id})`
    expect(left).toHaveLength(0)
    const told = await platform.client.sql`
      SELECT workspace_id, payload FROM structure_events
       WHERE event_type = 'WORKSPACE_REMOVED'
         AND workspace_id IN (${parent.id}, ${child.id}, ${grandchild.id}) ORDER BY id`
    expect(told).toEqual([
      { workspace_id: parent.id, payload: { cascade_deleted: 2 } },
      { workspace_id: child.id, payload: {} },
      { workspace_id: grandchild.id, payload: {} },
    ])
  })

  it('does not count a child that was removed before', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    await remove(child.id)
    const answer = await remove(parent.id)
    expect(await answer.json()).toEqual({ status: 'removed', cascade_deleted: 0 })
  })

  it('misses no child that is being created meanwhile', async () => {
    const parent = await create({ name: 'p' })
    // Its own start reads the table that is locked below, and is no part of this.
    await eventually(async () => (await read(parent.id))['url'] === 'http://127.0.0.1:9')
    const { sql } = platform.database
    const lock = await sql.reserve()
    const waiters = async () => {
      const rows = await sql`
        SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`
      return rows.length
    }
    // Holds the creation between its look at the parent and its commit.
    await lock`BEGIN`
    let creation: Promise<Response>
    let removal: Promise<Response>
    try {
      await lock`LOCK TABLE workspace_secrets`
      const child = { name: 'c', parent_id: parent.id, secrets: { KEY: 'v' } }
      creation = platform.json('/workspaces', child)
      await eventually(async () => (await waiters()) === 1)
      let isOver = false
      removal = remove(parent.id, '?confirm=true').finally(() => {
        isOver = true
      })
      await eventually(async () => isOver || (await waiters()) === 2)
    } finally {
      await lock`COMMIT`
      lock.release()
    }
    expect((await creation).status).toBe(201)
    expect(await (await removal).json()).toMatchObject({ status: 'removed', cascade_deleted: 1 })
    const rows = await sql`SELECT status FROM workspaces WHERE parent_id = ${parent.id}`
    expect(rows.map(({ status }) => status)).toEqual(['removed'])
  })

  it('revokes the tokens at once', async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    await remove(id)
    const answer = await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect(answer.status).toBe(401)
    // Not only because its row is removed: the tokens themselves are.
    const tokens = await platform.client.sql`
      SELECT revoked_at IS NOT NULL AS is_revoked FROM workspace_auth_tokens
       WHERE workspace_id = ${id}`
    expect(tokens).toEqual([{ is_revoked: true }])
  })

  it('keeps the volume when the stop fails, says so, and can be repeated', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.failStop = true
    const failed = await remove(id)
    expect(failed.status).toBe(500)
    expect(await failed.json()).toMatchObject({
      code: 'stop_failed',
      hop: 'provisioner',
      removed_count: 1,
      stop_failures: 1,
    })
    expect(platform.provisioner.removedVolumes).not.toContain(id)
    platform.provisioner.failStop = false
    expect((await remove(id, '?purge=true')).status).toBe(200)
    expect(platform.provisioner.removedVolumes).toContain(id)
  })

  it('ends the boxes below as well when it is repeated after a failed stop', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    for (const { id } of [parent, child]) {
      await eventually(async () => (await read(id))['url'] === 'http://127.0.0.1:9')
    }
    platform.provisioner.failStop = true
    expect((await remove(parent.id, '?confirm=true')).status).toBe(500)
    platform.provisioner.failStop = false
    const repeated = await remove(parent.id, '?confirm=true&purge=true')
    expect(await repeated.json()).toEqual({ status: 'purged', cascade_deleted: 1 })
    for (const { id } of [parent, child]) {
      expect(platform.provisioner.removedVolumes).toContain(id)
    }
    const left = await platform.client.sql`
      SELECT id FROM workspaces WHERE id IN (${parent.id}, ${child.id})`
    expect(left).toHaveLength(0)
  })

  it('ends a start in progress', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const { id } = await create({ name: 'half' })
    await eventually(() => platform.provisioner.starts.some((each) => each.workspaceId === id))
    const removal = remove(id)
    resolve('http://127.0.0.1:9')
    expect((await removal).status).toBe(200)
    expect(platform.provisioner.running.has(id)).toBe(false)
  })
})

describe('a removal that the end of its platform meets', () => {
  it('is told so, and goes on with the next platform', async () => {
    const ending = await startPlatformHarness()
    const { id } = await ending.onlineWorkspace('http://127.0.0.1:9')
    const box = Promise.withResolvers<void>()
    const isAsked = Promise.withResolvers<void>()
    ending.provisioner.stop = () => {
      isAsked.resolve()
      return box.promise
    }
    const answering = ending.request(`/workspaces/${id}`, { method: 'DELETE' })
    await isAsked.promise
    const stopping = ending.deps.lifecycle.stop()
    const answer = await answering
    box.resolve()
    await stopping
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'shutting_down', retryable: true })
    await ending.stop()
  })
})
