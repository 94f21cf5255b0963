import { randomUUID } from 'node:crypto'
import { Secret } from '@atrium/http-kit/secret'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Provisioner } from '../../../apps/platform/src/provisioners/provisioner.ts'
import type { ControlPlane } from '../../support/control-plane/control-plane.ts'
import type { Fault } from '../../support/control-plane/faults.ts'
import {
  expectRefusal,
  never,
  ProvisionerScene,
  startInput,
} from '../../support/control-plane/provisioner-scene.ts'

const machineText = (instance: string, address: string): string =>
  JSON.stringify({ instance_id: instance, private_ip: address })

let scene: ProvisionerScene
let controlPlane: ControlPlane
let provisioner: Provisioner

beforeEach(async () => {
  scene = await ProvisionerScene.open(78)
  controlPlane = scene.controlPlane
  provisioner = scene.provisionerOf()
})
afterEach(async () => {
  await provisioner.close()
  await controlPlane.stop()
})

describe('start', () => {
  it('removes what an earlier start has left, whatever its instance was', async () => {
    const input = startInput()
    await provisioner.start(input, never())
    await provisioner.start({ ...input, generation: 4 }, never())
    expect(controlPlane.machines()).toHaveLength(2)
    expect(controlPlane.existing().map((each) => each.env['ATRIUM_GENERATION'])).toEqual(['4'])
  })

  it('refuses another one of the same generation while one is under way', async () => {
    const input = startInput()
    scene.failOnce('provision', { kind: 'hang' })
    const caller = new AbortController()
    const reason = new Error('enough')
    const first = provisioner.start(input, caller.signal).catch((error: unknown) => error)
    await expect.poll(() => controlPlane.callsOf('provision').length).toBe(1)
    await expect(provisioner.start(input, never())).rejects.toThrow('started already')
    caller.abort(reason)
    expect(await first).toBe(reason)
    expect(controlPlane.machines()).toEqual([])
  })

  it.each([400, 422])(
    'goes on where the control plane removes nothing without an instance, and says %i',
    async (status) => {
      scene.failOnce('remove', { kind: 'status', status, body: { error: 'instance_id required' } })
      await provisioner.start(startInput(), never())
      expect(scene.lines.join()).toContain('control_plane.remove_needs_instance')
    },
  )

  const lost: readonly Fault[] = [
    { kind: 'done-then-reset' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"i-1"}' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"i-1","private_ip":"nowhere"}' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"a b","private_ip":"10.0.0.1"}' },
    { kind: 'done-then-raw', status: 201, text: machineText('x'.repeat(257), '10.0.0.1') },
    { kind: 'done-then-raw', status: 201, text: '' },
    { kind: 'done-then-raw', status: 202, text: '{"instance_id":"i-1","private_ip":"10.0.0.1"}' },
    { kind: 'done-then-raw', status: 500, text: '{"error":"late"}' },
  ]
  it.each(lost)('leaves no machine when its answer is lost: %j', async (fault) => {
    scene.failOnce('provision', fault)
    const code =
      fault.kind === 'done-then-reset' ? 'control_plane_unreachable' : 'control_plane_failed'
    await expectRefusal(provisioner.start(startInput(), never()), code)
    expect(controlPlane.machines()).toHaveLength(1)
    expect(controlPlane.existing()).toEqual([])
  })

  it('leaves no machine when it takes too long, or is called off', async () => {
    const hasty = scene.provisionerOf({ timeoutMs: 300 })
    scene.failOnce('provision', { kind: 'done-then-hang' })
    await expectRefusal(hasty.start(startInput(), never()), 'control_plane_timeout')
    await hasty.close()
    expect(controlPlane.existing()).toEqual([])
    scene.failOnce('provision', { kind: 'done-then-hang' })
    const caller = new AbortController()
    const reason = new Error('removed meanwhile')
    const started = provisioner.start(startInput(), caller.signal)
    await expect.poll(() => controlPlane.existing().length).toBe(1)
    caller.abort(reason)
    await expect(started).rejects.toBe(reason)
    expect(controlPlane.existing()).toEqual([])
  })

  it('is undone before the back-end closes', async () => {
    scene.failOnce('provision', { kind: 'done-then-hang' })
    const started = provisioner.start(startInput(), never()).catch((error: unknown) => error)
    await expect.poll(() => controlPlane.existing().length).toBe(1)
    await provisioner.close()
    expect(controlPlane.existing()).toEqual([])
    expect(await started).toMatchObject({ code: 'shutting_down' })
  })

  it('says so when a machine may have been left, under the code of the first failure', async () => {
    let removals = 0
    controlPlane.fault = ({ name }) => {
      if (name === 'provision') return { kind: 'done-then-reset' }
      removals += 1
      return removals === 1 ? undefined : { kind: 'status', status: 500 }
    }
    await expect(provisioner.start(startInput(), never())).rejects.toMatchObject({
      code: 'control_plane_unreachable',
      internal: expect.stringContaining('may have been left'),
    })
    // The next start of the workspace removes it before it does anything else.
    const [left] = controlPlane.existing()
    controlPlane.fault = () => undefined
    await provisioner.start(
      startInput({ workspaceId: left?.workspaceId ?? '', generation: 9 }),
      never(),
    )
    expect(controlPlane.existing().map((each) => each.env['ATRIUM_GENERATION'])).toEqual(['9'])
  })

  it.each([
    '0.0.0.0',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '224.0.0.1',
    '240.0.0.1',
    'ff02::1',
    'fe80::1',
    '255.255.255.255',
  ])('refuses a machine at %s', async (address) => {
    const text = machineText('i-1', address)
    scene.failOnce('provision', { kind: 'raw', status: 201, text })
    await expectRefusal(provisioner.start(startInput(), never()), 'control_plane_failed')
  })

  it('gives back a machine by its instance when its address cannot be one', async () => {
    const text = machineText('i-odd', '169.254.169.254')
    scene.failOnce('provision', { kind: 'raw', status: 201, text })
    await expectRefusal(provisioner.start(startInput(), never()), 'control_plane_failed')
    expect(controlPlane.callsOf('remove').at(-1)?.instanceId).toBe('i-odd')
  })

  it('never repeats what was sent, in an error or in a log, nor what steers a terminal', async () => {
    const input = startInput()
    const secrets = [
      ...Object.values(input.credentials).map((secret) => secret.reveal()),
      controlPlane.sharedSecret,
      controlPlane.adminToken,
      'sk-a-provider-key',
    ]
    // One by one: of a long text only the beginning is kept anyway.
    for (const secret of secrets) {
      controlPlane.fault = ({ name }) =>
        name === 'provision'
          ? { kind: 'status', status: 500, body: { error: `no \u001b[2J${secret}` } }
          : undefined
      const error: unknown = await provisioner
        .start(input, never())
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        internal: 'POST /cp/workspaces/provision: status 500: no \ufffd[2J[hidden]',
      })
    }
    for (const secret of secrets) expect(scene.lines.join()).not.toContain(secret)
  })
})

describe('stop', () => {
  it('ends the machine, and may be repeated', async () => {
    const input = startInput()
    const { instanceId } = await provisioner.start(input, never())
    const box = { workspaceId: input.workspaceId, instanceId }
    await provisioner.stop(box)
    expect(controlPlane.existing()).toEqual([])
    expect(await provisioner.isRunning(box)).toBe(false)
    await provisioner.stop(box)
    await provisioner.stop({ workspaceId: input.workspaceId })
  })

  it('is broken off, and says why, when the back-end closes', async () => {
    const input = startInput()
    const { instanceId } = await provisioner.start(input, never())
    scene.failOnce('remove', { kind: 'hang' })
    const before = controlPlane.callsOf('remove').length
    const stopped = provisioner
      .stop({ workspaceId: input.workspaceId, instanceId })
      .catch((error: unknown) => error)
    await expect.poll(() => controlPlane.callsOf('remove').length).toBe(before + 1)
    await provisioner.close()
    expect(await stopped).toMatchObject({ code: 'shutting_down' })
  })

  it('waits for a machine that takes its time, and not for ever', async () => {
    const input = startInput()
    const { instanceId } = await provisioner.start(input, never())
    const box = { workspaceId: input.workspaceId, instanceId }
    let asked = 0
    const running: Fault = { kind: 'raw', status: 200, text: '{"state":"running"}' }
    controlPlane.fault = ({ name }) => {
      if (name === 'status') asked += 1
      return name === 'status' && asked < 3 ? running : undefined
    }
    await provisioner.stop(box)
    expect(asked).toBe(3)
    controlPlane.fault = ({ name }) => (name === 'status' ? running : undefined)
    const hasty = scene.provisionerOf({ stopTimeoutMs: 600 })
    await expectRefusal(hasty.stop(box), 'control_plane_failed')
    await hasty.close()
  })

  it.each([400, 401, 403, 409, 422, 429, 500, 502, 503])(
    'never takes a %i for success',
    async (status) => {
      const input = startInput()
      const { instanceId } = await provisioner.start(input, never())
      scene.failOnce('remove', { kind: 'status', status })
      await expectRefusal(
        provisioner.stop({ workspaceId: input.workspaceId, instanceId }),
        'control_plane_failed',
      )
      expect(controlPlane.existing()).toHaveLength(1)
    },
  )
})

describe('isRunning', () => {
  it('is true of a running machine only, and false without an instance', async () => {
    const input = startInput()
    const { instanceId } = await provisioner.start(input, never())
    const box = { workspaceId: input.workspaceId, instanceId }
    await expect.poll(() => provisioner.isRunning(box)).toBe(true)
    await controlPlane.existing()[0]?.kill()
    expect(await provisioner.isRunning(box)).toBe(false)
    controlPlane.calls.length = 0
    expect(await provisioner.isRunning({ workspaceId: input.workspaceId })).toBe(false)
    expect(controlPlane.calls).toEqual([])
  })

  it.each([
    ['pending', true],
    ['running', true],
    ['stopping', false],
    ['shutting-down', false],
    ['', false],
  ])('takes a machine that is %j for alive: %j', async (state, isAlive) => {
    controlPlane.fault = () => ({ kind: 'raw', status: 200, text: JSON.stringify({ state }) })
    const box = { workspaceId: randomUUID(), instanceId: 'i-1' }
    expect(await provisioner.isRunning(box)).toBe(isAlive)
  })

  it('throws when it cannot know: the machine counts as alive then', async () => {
    await expectRefusal(
      provisioner.isRunning({ workspaceId: randomUUID(), instanceId: 'i-gone' }),
      'control_plane_failed',
    )
  })
})

describe('what has no place in a machine', () => {
  it('is said so, once and for all', async () => {
    const box = { workspaceId: randomUUID() }
    expect(await provisioner.execRead(box, '/configs/x', 1)).toBeUndefined()
    expect(await provisioner.volumeHasFile(box, 'config.yaml')).toBe(false)
    expect(await provisioner.writeAuthToken(box, new Secret('x'))).toBe(false)
    expect(await provisioner.writeInboundSecret(box, new Secret('x'))).toBe(false)
    expect(await provisioner.listBoxes()).toEqual([])
    await provisioner.removeVolume(box)
    expect(controlPlane.calls).toEqual([])
  })
})
