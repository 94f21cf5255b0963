import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { createNoProvisioner } from './no-provisioner.ts'

const ID = '11111111-1111-4111-8111-111111111111'

describe('no provisioner', () => {
  it('says that it cannot start anything, by a typed error', async () => {
    const start = createNoProvisioner().start(
      {
        workspaceId: ID,
        generation: 1,
        runtimeKind: 'echo',
        tier: 2,
        configFiles: new Map(),
        env: {},
        secretEnv: {},
        credentials: { authToken: new Secret('a'), inboundSecret: new Secret('b') },
      },
      new AbortController().signal,
    )
    await expect(start).rejects.toMatchObject({ code: 'provisioner_unavailable' })
  })

  it('has nothing to end, to remove, to write to or to read', async () => {
    const provisioner = createNoProvisioner()
    await provisioner.open()
    await provisioner.stop(ID)
    await provisioner.removeVolume(ID)
    expect(await provisioner.isRunning(ID)).toBe(false)
    expect(await provisioner.writeInboundSecret(ID, new Secret('x'))).toBe(false)
    expect(await provisioner.readConsole(ID, 1000)).toBe('')
    await provisioner.close()
    await provisioner.close()
  })
})
