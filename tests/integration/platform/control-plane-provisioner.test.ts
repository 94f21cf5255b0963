import { randomUUID } from 'node:crypto'
import type { AppError } from '@atrium/http-kit/app-error'
import { systemClock } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ControlPlaneProvisionerOptions,
  createControlPlaneProvisioner,
} from '../../../apps/platform/src/provisioners/control-plane/control-plane-provisioner.ts'
import type {
  Provisioner,
  StartInput,
} from '../../../apps/platform/src/provisioners/provisioner.ts'
import { mintSecret } from '../../support/agent-runtime.ts'
import { type CallName, ControlPlane } from '../../support/control-plane/control-plane.ts'
import type { Fault } from '../../support/control-plane/faults.ts'
import { LightMachine } from '../../support/control-plane/light-machine.ts'

let controlPlane: ControlPlane
let provisioner: Provisioner
let lines: string[]

function provisionerOf(options: Partial<ControlPlaneProvisionerOptions> = {}): Provisioner {
  const { url, orgId, sharedSecret, adminToken, adminApiToken } = controlPlane
  return createControlPlaneProvisioner({
    baseUrl: url,
    orgId,
    sharedSecret: new Secret(sharedSecret),
    adminToken: new Secret(adminToken),
    adminApiToken: new Secret(adminApiToken),
    timeoutMs: 10_000,
    log: pino({ level: 'trace' }, { write: (line) => lines.push(line) }),
    clock: systemClock,
    ...options,
  })
}

beforeEach(async () => {
  lines = []
  controlPlane = new ControlPlane({ make: (input) => new LightMachine(input), net: 78 })
  await controlPlane.start()
  provisioner = provisionerOf()
})
afterEach(async () => {
  await provisioner.close()
  await controlPlane.stop()
})

function startInput(fields: Partial<StartInput> = {}): StartInput {
  return {
    workspaceId: randomUUID(),
    generation: 3,
    runtimeKind: 'langgraph',
    tier: 2,
    configFiles: new Map(),
    env: { PLATFORM_URL: 'http://127.0.0.1:9', TIER: '2' },
    secretEnv: { PROVIDER_KEY: new Secret('sk-a-provider-key'), TIER: new Secret('4') },
    credentials: { authToken: new Secret(mintSecret()), inboundSecret: new Secret(mintSecret()) },
    ...fields,
  }
}

async function expectRefusal(call: Promise<unknown>, code: string): Promise<void> {
  await expect(call).rejects.toMatchObject({ code })
}

const never = (): AbortSignal => new AbortController().signal
const failOnce = (name: CallName, fault: Fault): void => {
  let isOver = false
  controlPlane.fault = (call) => {
    if (isOver || call.name !== name) return undefined
    isOver = true
    return fault
  }
}

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
    const bare = provisionerOf({
      sharedSecret: undefined,
      adminToken: new Secret(''),
      adminApiToken: undefined,
    })
    await expectRefusal(bare.stop({ workspaceId: randomUUID() }), 'control_plane_failed')
    expect(controlPlane.calls[0]?.headers).not.toHaveProperty('authorization')
    expect(controlPlane.calls[0]?.headers).not.toHaveProperty('x-molecule-admin-token')
    await bare.close()
    const shared = provisionerOf({ adminApiToken: undefined })
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

describe('start', () => {
  it('removes what an earlier start has left, whatever its instance was', async () => {
    const input = startInput()
    await provisioner.start(input, never())
    await provisioner.start({ ...input, generation: 4 }, never())
    expect(controlPlane.machines()).toHaveLength(2)
    expect(controlPlane.existing().map((each) => each.env['ATRIUM_GENERATION'])).toEqual(['4'])
  })

  it('goes on where the control plane removes nothing without an instance', async () => {
    failOnce('remove', { kind: 'status', status: 400, body: { error: 'instance_id required' } })
    await provisioner.start(startInput(), never())
    expect(lines.join()).toContain('control_plane.remove_needs_instance')
  })

  const lost: readonly Fault[] = [
    { kind: 'done-then-reset' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"i-1"}' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"i-1","private_ip":"nowhere"}' },
    { kind: 'done-then-raw', status: 201, text: '{"instance_id":"a b","private_ip":"10.0.0.1"}' },
    { kind: 'done-then-raw', status: 201, text: '' },
    { kind: 'done-then-raw', status: 202, text: '{"instance_id":"i-1","private_ip":"10.0.0.1"}' },
    { kind: 'done-then-raw', status: 500, text: '{"error":"late"}' },
  ]
  it.each(lost)('leaves no machine when its answer is lost: %j', async (fault) => {
    failOnce('provision', fault)
    const code =
      fault.kind === 'done-then-reset' ? 'control_plane_unreachable' : 'control_plane_failed'
    await expectRefusal(provisioner.start(startInput(), never()), code)
    expect(controlPlane.machines()).toHaveLength(1)
    expect(controlPlane.existing()).toEqual([])
  })

  it('leaves no machine when it takes too long, or is called off', async () => {
    const hasty = provisionerOf({ timeoutMs: 300 })
    failOnce('provision', { kind: 'done-then-hang' })
    await expectRefusal(hasty.start(startInput(), never()), 'control_plane_timeout')
    await hasty.close()
    expect(controlPlane.existing()).toEqual([])
    failOnce('provision', { kind: 'done-then-hang' })
    const caller = new AbortController()
    const reason = new Error('removed meanwhile')
    const started = provisioner.start(startInput(), caller.signal)
    await expect.poll(() => controlPlane.existing().length).toBe(1)
    caller.abort(reason)
    await expect(started).rejects.toBe(reason)
    expect(controlPlane.existing()).toEqual([])
  })

  it('is undone before the back-end closes', async () => {
    failOnce('provision', { kind: 'done-then-hang' })
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

  it.each(['0.0.0.0', '169.254.169.254', '224.0.0.1', 'ff02::1', 'fe80::1', '255.255.255.255'])(
    'refuses a machine at %s',
    async (address) => {
      const text = JSON.stringify({ instance_id: 'i-1', private_ip: address })
      failOnce('provision', { kind: 'raw', status: 201, text })
      await expectRefusal(provisioner.start(startInput(), never()), 'control_plane_failed')
    },
  )

  it('gives back a machine by its instance when its address cannot be one', async () => {
    const text = JSON.stringify({ instance_id: 'i-odd', private_ip: '169.254.169.254' })
    failOnce('provision', { kind: 'raw', status: 201, text })
    await expectRefusal(provisioner.start(startInput(), never()), 'control_plane_failed')
    expect(controlPlane.callsOf('remove').at(-1)?.instanceId).toBe('i-odd')
  })

  it('never repeats what was sent, in an error or in a log', async () => {
    const input = startInput()
    controlPlane.fault = ({ name, body, headers }) =>
      name === 'provision'
        ? { kind: 'status', status: 500, body: { error: JSON.stringify([headers, body]) } }
        : undefined
    const error: unknown = await provisioner
      .start(input, never())
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ internal: expect.stringContaining('status 500: ') })
    const shown = [(error as AppError).internal, ...lines].join()
    const secrets = [
      ...Object.values(input.credentials).map((secret) => secret.reveal()),
      controlPlane.sharedSecret,
      controlPlane.adminToken,
      'sk-a-provider-key',
    ]
    for (const secret of secrets) expect(shown).not.toContain(secret)
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
    const hasty = provisionerOf({ stopTimeoutMs: 600 })
    await expectRefusal(hasty.stop(box), 'control_plane_failed')
    await hasty.close()
  })

  it.each([401, 403, 409, 429, 500, 502, 503])('never takes a %i for success', async (status) => {
    const input = startInput()
    const { instanceId } = await provisioner.start(input, never())
    failOnce('remove', { kind: 'status', status })
    await expectRefusal(
      provisioner.stop({ workspaceId: input.workspaceId, instanceId }),
      'control_plane_failed',
    )
    expect(controlPlane.existing()).toHaveLength(1)
  })
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

  it('throws when it cannot know: the machine counts as alive then', async () => {
    await expectRefusal(
      provisioner.isRunning({ workspaceId: randomUUID(), instanceId: 'i-gone' }),
      'control_plane_failed',
    )
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
    const hasty = provisionerOf({ timeoutMs: 700 })
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

  it('is not there', async () => {
    const nowhere = provisionerOf({ baseUrl: 'http://127.0.0.1:1' })
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
