import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { createNoProvisioner } from './no-provisioner.ts'
import type { Provisioner } from './provisioner.ts'

const ID = '11111111-1111-4111-8111-111111111111'
const BOX = { workspaceId: ID, instanceId: null }

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

  it.each([
    ['stop', (none: Provisioner) => none.stop(BOX)],
    ['isRunning', (none: Provisioner) => none.isRunning(BOX)],
    ['execRead', (none: Provisioner) => none.execRead(BOX, '/configs/config.yaml', 1000)],
    ['volumeHasFile', (none: Provisioner) => none.volumeHasFile(BOX, 'config.yaml')],
    ['removeVolume', (none: Provisioner) => none.removeVolume(BOX)],
    ['writeAuthToken', (none: Provisioner) => none.writeAuthToken(BOX, new Secret('x'))],
    ['writeInboundSecret', (none: Provisioner) => none.writeInboundSecret(BOX, new Secret('x'))],
    ['readConsole', (none: Provisioner) => none.readConsole(BOX, 1000)],
    ['listBoxes', (none: Provisioner) => none.listBoxes()],
  ])('answers %s with the same typed error', async (_name, call) => {
    await expect(call(createNoProvisioner())).rejects.toMatchObject({
      code: 'provisioner_unavailable',
    })
  })

  it('opens and closes, any number of times', async () => {
    const none = createNoProvisioner()
    await none.open()
    await none.close()
    await none.close()
    expect(none.hostId).toBeNull()
  })
})
