/** How long a start may take where the operator says nothing (contract/platform 7.3). */
import { expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { create, read } from '../../support/workspaces-api.ts'

sharePlatform({ ATRIUM_SWEEP_INTERVAL_MS: '100' })

async function startedFor(id: string, seconds: number): Promise<void> {
  await platform.client.sql`
    UPDATE workspaces SET status_since = now() - ${seconds} * interval '1 second' WHERE id = ${id}`
}

it('a hermes has three times as long as the others', async () => {
  platform.provisioner.endpoint = () => 'http://127.0.0.1:9'
  const usual = await create({ name: 'usual', runtime: 'langgraph' })
  const hermes = await create({ name: 'slow', runtime: 'hermes' })
  for (const { id } of [usual, hermes]) {
    await eventually(() => platform.provisioner.running.has(id))
  }
  await startedFor(hermes.id, 1_700)
  await startedFor(usual.id, 601)
  // One pass looks at both.
  await eventually(async () => (await read(usual.id)).status === 'failed')
  expect((await read(usual.id)).status_reason).toMatch(/^not online within 600 s/)
  expect((await read(hermes.id)).status).toBe('provisioning')
  await startedFor(hermes.id, 1_801)
  await eventually(async () => (await read(hermes.id)).status === 'failed')
  expect((await read(hermes.id)).status_reason).toMatch(/^not online within 1800 s/)
})
