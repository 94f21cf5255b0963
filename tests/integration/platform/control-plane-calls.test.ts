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

let scene: ProvisionerScene
let controlPlane: ControlPlane
let provisioner: Provisioner

beforeEach(async () => {
  scene = await ProvisionerScene.open(83)
  controlPlane = scene.controlPlane
  provisioner = scene.provisionerOf()
})
afterEach(async () => {
  await provisioner.close()
  await controlPlane.stop()
})

describe('what goes to the control plane', () => {
  it('is the request of the contract, with the credentials in the environment', async () => {
    const input = startInput()
    const result = await provisioner.start(input, never())
    const [call] = controlPlane.callsOf('provision')
    expect(call?.body).toEqual({
      org_id: controlPlane.orgId,
      workspace_id: input.workspaceId,
      runtime: 'langgraph',
      tier: 2,
      platform_url: 'http://127.0.0.1:9',
      env: {
        PROVIDER_KEY: 'sk-a-provider-key',
        TIER: '2',
        PLATFORM_URL: 'http://127.0.0.1:9',
        WORKSPACE_ID: input.workspaceId,
        ATRIUM_GENERATION: '3',
        ATRIUM_ADVERTISE_ADDRESS: '1',
        ATRIUM_AUTH_TOKEN: input.credentials.authToken.reveal(),
        MOLECULE_WORKSPACE_TOKEN: input.credentials.authToken.reveal(),
        ATRIUM_INBOUND_SECRET: input.credentials.inboundSecret.reveal(),
      },
    })
    expect(call?.headers).toMatchObject({
      authorization: `Bearer ${controlPlane.sharedSecret}`,
      'x-molecule-admin-token': controlPlane.adminToken,
      'idempotency-key': `${input.workspaceId}:3`,
      'content-type': 'application/json',
      // One of its own: none that the other side has begun to close.
      connection: 'close',
    })
    const [machine] = controlPlane.existing()
    expect(result).toEqual({
      endpointUrl: null,
      address: machine?.address,
      instanceId: machine?.instanceId,
      isolation: 'machine',
    })
  })

  it('is no header where there is no value, and the shared secret where there is no admin one', async () => {
    const bare = scene.provisionerOf({
      sharedSecret: undefined,
      adminToken: new Secret(''),
      adminApiToken: undefined,
    })
    await expectRefusal(bare.stop({ workspaceId: randomUUID() }), 'control_plane_failed')
    expect(controlPlane.calls[0]?.headers).not.toHaveProperty('authorization')
    expect(controlPlane.calls[0]?.headers).not.toHaveProperty('x-molecule-admin-token')
    await bare.close()
    const shared = scene.provisionerOf({ adminApiToken: undefined })
    await expectRefusal(
      shared.readConsole({ workspaceId: randomUUID() }, 10),
      'control_plane_failed',
    )
    expect(controlPlane.callsOf('console')[0]?.headers.authorization).toBe(
      `Bearer ${controlPlane.sharedSecret}`,
    )
    await shared.close()
  })

  it('has the configuration along, and no file that has no place or fits no environment', async () => {
    const config = (path: string, text: string) =>
      startInput({ configFiles: new Map([[path, Buffer.from(text)]]) })
    await provisioner.start(config('nested/config.yaml', 'name: x'), never())
    const { env } = controlPlane.existing()[0] ?? {}
    expect(JSON.parse(env?.['ATRIUM_CONFIG_FILES'] ?? '')).toEqual({
      'nested/config.yaml': Buffer.from('name: x').toString('base64'),
    })
    for (const path of ['../x', '/x', '', 'a//b', '.auth_token']) {
      await expectRefusal(provisioner.start(config(path, ''), never()), 'invalid_path')
    }
    const long = config('x', 'x'.repeat(100_000))
    await expectRefusal(provisioner.start(long, never()), 'internal')
    expect(controlPlane.callsOf('provision')).toHaveLength(1)
  })

  it('never holds a workspace id that is none', async () => {
    for (const workspaceId of ['..', '../admin', 'x', '', randomUUID().toUpperCase()]) {
      const calls = [
        () => provisioner.start(startInput({ workspaceId }), never()),
        () => provisioner.stop({ workspaceId }),
        () => provisioner.isRunning({ workspaceId, instanceId: 'i-1' }),
        () => provisioner.removeVolume({ workspaceId }),
        () => provisioner.readConsole({ workspaceId }, 1),
        () => provisioner.writeInboundSecret({ workspaceId }, new Secret('x')),
      ]
      for (const call of calls) await expectRefusal(call(), 'invalid_workspace_id')
    }
    expect(controlPlane.calls).toEqual([])
  })
})

describe('a control plane that goes wrong', () => {
  const faults: readonly (readonly [Fault, string])[] = [
    [{ kind: 'status', status: 500 }, 'control_plane_failed'],
    [{ kind: 'status', status: 401 }, 'control_plane_failed'],
    [{ kind: 'redirect', location: 'http://127.0.0.1:1/elsewhere' }, 'control_plane_failed'],
    [{ kind: 'html' }, 'control_plane_failed'],
    [{ kind: 'raw', status: 200, text: '' }, 'control_plane_failed'],
    [{ kind: 'raw', status: 200, text: 'null' }, 'control_plane_failed'],
    [{ kind: 'raw', status: 200, text: '{"state":7,"output":7}' }, 'control_plane_failed'],
    [{ kind: 'garbage' }, 'control_plane_failed'],
    [{ kind: 'oversized', bytes: 300_000 }, 'control_plane_failed'],
    [{ kind: 'reset' }, 'control_plane_unreachable'],
    [{ kind: 'hang' }, 'control_plane_timeout'],
    [{ kind: 'trickle' }, 'control_plane_timeout'],
  ]
  it.each(faults)('is told apart: %j is %s', async (fault, code) => {
    // A time-out that is no part of the case is none that a busy machine meets.
    const timeoutMs = code === 'control_plane_timeout' ? 700 : 30_000
    const hasty = scene.provisionerOf({ timeoutMs })
    const box = { workspaceId: randomUUID(), instanceId: 'i-1' }
    controlPlane.fault = () => fault
    const calls: (() => Promise<unknown>)[] = [
      () => hasty.isRunning(box),
      () => hasty.readConsole(box, 100),
    ]
    // An answer of 2xx is all that a removal needs.
    const isAcceptance = fault.kind === 'html' || (fault.kind === 'raw' && fault.status === 200)
    if (!isAcceptance) calls.push(() => hasty.stop(box))
    for (const call of calls) await expectRefusal(call(), code)
    await hasty.close()
  })

  it('is read no further than the bound, however good the answer is', async () => {
    const box = { workspaceId: randomUUID(), instanceId: 'i-1' }
    const answerOf = (bytes: number): void => {
      const padding = 'x'.repeat(bytes - 100)
      const text = JSON.stringify({ state: 'running', output: 'end', padding })
      controlPlane.fault = () => ({ kind: 'raw', status: 200, text })
    }
    answerOf(64 * 1024)
    expect(await provisioner.isRunning(box)).toBe(true)
    answerOf(65 * 1024)
    await expectRefusal(provisioner.isRunning(box), 'control_plane_failed')
    answerOf(256 * 1024)
    expect(await provisioner.readConsole(box, 10)).toBe('end')
    answerOf(257 * 1024)
    await expectRefusal(provisioner.readConsole(box, 10), 'control_plane_failed')
  })

  it('is not there', async () => {
    const nowhere = scene.provisionerOf({ baseUrl: 'http://127.0.0.1:1' })
    await expectRefusal(nowhere.stop({ workspaceId: randomUUID() }), 'control_plane_unreachable')
    await nowhere.close()
  })

  it('answers nobody after the back-end is closed', async () => {
    await provisioner.close()
    await provisioner.close()
    await expectRefusal(provisioner.start(startInput(), never()), 'shutting_down')
    await expectRefusal(provisioner.stop({ workspaceId: randomUUID() }), 'shutting_down')
  })
})

describe('readConsole', () => {
  it('gives the end of the console without what steers a terminal', async () => {
    const output = `${'x'.repeat(100)}\u001b[2Jh\u00e9llo\u0000\r\nend`
    controlPlane.fault = () => ({ kind: 'raw', status: 200, text: JSON.stringify({ output }) })
    const box = { workspaceId: randomUUID() }
    expect(await provisioner.readConsole(box, 1_000)).toBe(
      `${'x'.repeat(100)}h\u00e9llo\ufffd\nend`,
    )
    expect(await provisioner.readConsole(box, 3)).toBe('end')
    expect(await provisioner.readConsole(box, 0)).toBe('')
    controlPlane.fault = () => ({ kind: 'status', status: 404 })
    expect(await provisioner.readConsole(box, 10)).toBe('')
  })
})
