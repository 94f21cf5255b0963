import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { startPlatformHarness } from '../../support/platform-harness.ts'
import { platform } from '../../support/shared-platform.ts'
import { create, provideWorkspacesApi, type Row, read } from '../../support/workspaces-api.ts'

provideWorkspacesApi()

describe('a box that dies', () => {
  it('is started again with new credentials; the old token is dead', async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'signal SIGKILL' })
    const second = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === id && each.generation === 2),
    )
    expect(second.credentials.authToken.reveal()).not.toBe(authToken)
    const stale = await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect(stale.status).toBe(401)
  })

  it('before its endpoint was written down leaves no endpoint behind', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const { id } = await create({ name: 'brief' })
    await eventually(() => platform.provisioner.starts.some((each) => each.workspaceId === id))
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'exit code 1' })
    await eventually(async () => (await read(id)).status === 'offline')
    const { promise: never } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => never
    resolve('http://127.0.0.1:9')
    await eventually(() => platform.provisioner.stopped.includes(id))
    expect((await read(id))['url']).toBeNull()
  })

  it('of an older generation changes nothing', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const other = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.die({ workspaceId: id, generation: 0, reason: 'late news' })
    platform.provisioner.die({ workspaceId: other.id, generation: 1, reason: 'exit code 1' })
    // By the time the second news has had its effect, the first would have had its own.
    await eventually(() =>
      platform.provisioner.starts.some((s) => s.workspaceId === other.id && s.generation === 2),
    )
    expect(await read(id)).toMatchObject({ status: 'online' })
  })
})

describe('a workspace where a request meets nobody', () => {
  it.each([
    ['a message', '/a2a', { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: 'x' } }],
    ['a download', '/chat/download?path=/workspace/a.txt', undefined],
  ])('is dead when its back-end says so too: %s', async (_what, path, message) => {
    // No sweep looks before the test is over.
    const patient = await startPlatformHarness({ ATRIUM_SWEEP_INTERVAL_MS: '600000' })
    const { provisioner } = patient
    const ask = async (id: string) => {
      const url = `/workspaces/${id}${path}`
      return message === undefined ? await patient.request(url) : await patient.json(url, message)
    }
    try {
      const running = await patient.onlineWorkspace('http://127.0.0.1:9')
      const dead = await patient.onlineWorkspace('http://127.0.0.1:9')
      provisioner.running.delete(dead.id)
      expect((await ask(running.id)).status).toBe(502)
      // Who sends a message waits for the second opinion.
      expect((await ask(dead.id)).status).toBe(message === undefined ? 502 : 503)
      await eventually(() => provisioner.starts.length === 3)
      expect(provisioner.starts[2]).toMatchObject({ workspaceId: dead.id, generation: 2 })
    } finally {
      await patient.stop()
    }
  })
})

describe('a box that keeps dying', () => {
  it('fails after five restarts, with a reason for a person', async () => {
    // The delays between restarts add up to 15 s; here only their order matters.
    const impatient = await startPlatformHarness({ ATRIUM_RESTART_DELAY_MS: '1' })
    try {
      const { id } = await impatient.onlineWorkspace('http://127.0.0.1:9')
      for (let generation = 1; generation <= 6; generation += 1) {
        await eventually(() =>
          impatient.provisioner.starts.some((s) => s.generation === generation),
        )
        // Its endpoint has to be written down first, or the death ends a start and not a box.
        await eventually(async () => {
          const rows = await impatient.client.sql`
            SELECT endpoint_url FROM workspaces WHERE id = ${id} AND generation = ${generation}`
          return rows[0]?.['endpoint_url'] === 'http://127.0.0.1:9'
        })
        impatient.provisioner.die({ workspaceId: id, generation, reason: 'exit code 7' })
      }
      const row = await eventually(async () => {
        const current = (await (await impatient.request(`/workspaces/${id}`)).json()) as Row
        return current.status === 'failed' ? current : undefined
      })
      expect(row.status_reason).toBe(
        'runtime ended 6 times within 10 minutes, last: exit code 7; see its console output',
      )
      expect(impatient.provisioner.starts).toHaveLength(6)
    } finally {
      await impatient.stop()
    }
  })
})
