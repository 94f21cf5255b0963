import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  volumeName,
  workspaceLabels,
} from '../../apps/platform/src/provisioners/docker/box-names.ts'
import { HELPER_LABEL } from '../../apps/platform/src/provisioners/docker/box-volumes.ts'
import { DEFAULT_TIERS } from '../../apps/platform/src/provisioners/docker/tier-limits.ts'
import type {
  Provisioner,
  UnexpectedExit,
} from '../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock } from '../../packages/http-kit/src/clock.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import {
  containerOf,
  containersOf,
  createDockerIn,
  newScope,
  removeScope,
  runIn,
  volumesOf,
} from '../support/docker-boxes.ts'
import { describeWithDocker, docker, fakeRuntimeImage, fileIn } from '../support/docker-engine.ts'
import { eventually } from '../support/eventually.ts'
import { answers, never, plant, startInput, stateOf } from './provisioner-bench.ts'

const NETWORK = 'molecule-monorepo-net'

describeWithDocker('docker provisioner', () => {
  let scope: string
  let provisioner: Provisioner

  beforeEach(async () => {
    scope = newScope()
    provisioner = await createDockerIn(scope)
    await provisioner.open()
  })
  afterEach(async () => {
    await provisioner.close()
    await removeScope(scope)
  })

  const inspect = async (workspaceId: string) => (await containerOf(workspaceId)).inspect()

  describe('the container', () => {
    it('has the names, labels, volumes and the network of the contract', async () => {
      const input = startInput({ generation: 3 })
      const { instanceId } = await provisioner.start(input, never())
      const found = await inspect(input.workspaceId)
      const short = input.workspaceId.slice(0, 12)
      expect(found.Name).toBe(`/ws-${short}`)
      expect(found.Id).toBe(instanceId)
      expect(found.Config.Hostname).toBe(`ws-${short}`)
      expect(found.Config.Labels).toMatchObject({
        'molecule.platform.managed': 'true',
        'molecule.platform.workspace-id': input.workspaceId,
        'molecule.platform.generation': '3',
      })
      expect(found.NetworkSettings.Networks[NETWORK]?.Aliases).toContain(`ws-${short}`)
      const mounts = found.Mounts.map(({ Name, Destination }) => `${Name}:${Destination}`)
      expect(mounts.sort()).toEqual(
        [
          `ws-${short}-configs:/configs`,
          `ws-${input.workspaceId}-workspace:/workspace`,
          `ws-${input.workspaceId}-home:/home`,
          `ws-${input.workspaceId}-plugins:/plugins`,
          `ws-${input.workspaceId}-console:/console`,
        ].sort(),
      )
    })

    it('is published on loopback only, and so is whatever else is on its network', async () => {
      const input = startInput()
      const { endpointUrl } = await provisioner.start(input, never())
      const [binding, ...others] =
        (await inspect(input.workspaceId)).NetworkSettings.Ports['8000/tcp'] ?? []
      expect(binding?.HostIp).toBe('127.0.0.1')
      expect(others).toEqual([])
      expect(endpointUrl).toBe(`http://127.0.0.1:${binding?.HostPort}`)
      const network = await docker.getNetwork(NETWORK).inspect()
      expect(network.Options).toMatchObject({
        'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
      })
    })

    it.each([
      [1, 512, 1, 512, true],
      [2, 512, 1, 512, false],
      [3, 2048, 2, 1024, false],
      [4, 4096, 4, 2048, false],
      [99, 512, 1, 512, false],
    ])(
      'of tier %i has %i MiB, %i processors, %i processes and no privilege',
      async (tier, memoryMb, cpus, pids, isReadOnly) => {
        const input = startInput()
        await provisioner.start({ ...input, tier }, never())
        const { Config, HostConfig } = await inspect(input.workspaceId)
        expect(Config.User).toBe('1000:1000')
        expect(HostConfig).toMatchObject({
          Memory: memoryMb * 1024 * 1024,
          MemorySwap: memoryMb * 1024 * 1024,
          CpuPeriod: 100_000,
          CpuQuota: cpus * 100_000,
          PidsLimit: pids,
          Privileged: false,
          CapAdd: null,
          CapDrop: ['ALL'],
          SecurityOpt: ['no-new-privileges:true'],
          ReadonlyRootfs: isReadOnly,
          PidMode: '',
          IpcMode: 'private',
          NetworkMode: NETWORK,
          RestartPolicy: { Name: 'no' },
        })
        expect(JSON.stringify(HostConfig)).not.toContain('docker.sock')
      },
    )

    it('of tier 1 stores its configuration only, and executes nothing it wrote', async () => {
      const input = startInput()
      await provisioner.start({ ...input, tier: 1 }, never())
      const { Mounts, HostConfig } = await inspect(input.workspaceId)
      expect(Mounts.map(({ Destination }) => Destination).sort()).toEqual(['/configs', '/console'])
      expect(HostConfig.Tmpfs).toMatchObject({ '/tmp': expect.stringMatching(/noexec.*size=64m/) })
      await runIn(input.workspaceId, [
        '/bin/sh',
        '-c',
        'echo kept > /configs/x; echo > /workspace/x',
      ])
      await provisioner.stop(input)
      const again = { ...input, generation: 2, tier: 1 }
      const { instanceId } = await provisioner.start(again, never())
      const box = { workspaceId: input.workspaceId, instanceId }
      expect(
        Buffer.from((await provisioner.execRead(box, '/configs/x', 10)) ?? '').toString(),
      ).toBe('kept\n')
      expect(await provisioner.execRead(box, '/workspace/x', 10)).toBe(undefined)
      expect(await provisioner.writeInboundSecret(box, new Secret('rotated'))).toBe(true)
    })

    it('takes the limits that the configuration sets', async () => {
      const tiers = { ...DEFAULT_TIERS, 3: { memoryMb: 640, cpuShares: 512 } }
      const own = await createDockerIn(scope, { tiers })
      await own.open()
      const input = startInput()
      await own.start({ ...input, tier: 3 }, never())
      await own.close()
      expect((await inspect(input.workspaceId)).HostConfig).toMatchObject({
        Memory: 640 * 1024 * 1024,
        CpuQuota: 50_000,
      })
    })

    it('holds its credentials in files of the runtime, and nowhere that the engine shows', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const container = await containerOf(input.workspaceId)
      const shown = JSON.stringify(await container.inspect())
      expect(shown).not.toMatch(/auth-token-value|inbound-secret-value/)
      // The workspace's own keys are its environment, which the engine's operator can see.
      expect(shown).toContain('sk-provider-value')
      for (const name of ['.auth_token', '.platform_inbound_secret', 'config.yaml']) {
        expect(await fileIn(container, `/configs/${name}`)).toMatchObject({
          mode: 0o600,
          uid: 1000,
        })
      }
      await provisioner.writeInboundSecret(input, new Secret('rotated'))
      const rotated = await fileIn(container, '/configs/.platform_inbound_secret')
      expect(rotated).toEqual({ text: 'rotated', mode: 0o600, uid: 1000 })
    })

    it('cannot write what its console said', async () => {
      const input = startInput()
      const { endpointUrl } = await provisioner.start(input, never())
      await expect(
        plant(endpointUrl ?? '', { kind: 'file', path: '/console/console.log', text: 'never' }),
      ).rejects.toThrow()
    })

    it('reaps what its agent leaves behind', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await runIn(input.workspaceId, ['/bin/sh', '-c', 'for n in 1 2 3; do (sleep 0.1 &) ; done'])
      const container = await containerOf(input.workspaceId)
      await eventually(async () => {
        // The first process and the runtime.
        const listing: Promise<{ Processes: readonly unknown[] }> = container.top({
          ps_args: '-o pid,stat',
        })
        return (await listing).Processes.length === 2
      })
    })

    it('is told where the platform is in words that mean it inside', async () => {
      const input = startInput()
      const env = { ...input.env, PLATFORM_URL: 'http://127.0.0.1:8080' }
      const { endpointUrl } = await provisioner.start({ ...input, env }, never())
      const seen = await stateOf(endpointUrl)
      expect(seen.env['PLATFORM_URL']).toBe('http://host.docker.internal:8080')
      expect((await inspect(input.workspaceId)).HostConfig.ExtraHosts).toEqual([
        'host.docker.internal:host-gateway',
      ])
    })
  })

  describe('a stalled replica', () => {
    let stalled: Provisioner
    beforeEach(async () => {
      stalled = await createDockerIn(scope)
      await stalled.open()
    })
    afterEach(async () => stalled.close())

    it('ends its own box and not the successor of it', async () => {
      const input = startInput({ generation: 1 })
      const old = await stalled.start(input, never())
      const next = await provisioner.start({ ...input, generation: 2 }, never())
      await stalled.stop({ workspaceId: input.workspaceId, instanceId: old.instanceId })
      expect(await answers(next.endpointUrl)).toBe(true)
      await expect(stalled.start(input, never())).rejects.toThrow('superseded')
      expect(await answers(next.endpointUrl)).toBe(true)
      expect((await inspect(input.workspaceId)).Id).toBe(next.instanceId)
    })

    it('ends no start of a newer generation by ending its own', async () => {
      const input = startInput({ generation: 2, traits: 'silent' })
      let isSettled = false
      const started = provisioner
        .start(input, never())
        .catch((error: unknown) => error)
        .finally(() => {
          isSettled = true
        })
      await eventually(() => provisioner.isRunning(input))
      const { workspaceId } = input
      await provisioner.stop({ workspaceId, generation: 1 })
      expect(isSettled).toBe(false)
      expect(await provisioner.isRunning(input)).toBe(true)
      await provisioner.stop({ workspaceId, generation: 2 })
      expect(await started).toMatchObject({ message: expect.stringContaining('was stopped') })
    })

    it('is overtaken in the middle of its start, and leaves nothing', async () => {
      const input = startInput({ generation: 1, traits: 'silent' })
      const started = stalled.start(input, never()).catch((error: unknown) => error)
      await eventually(() => stalled.isRunning(input))
      const successor = startInput({ workspaceId: input.workspaceId, generation: 2 })
      const next = await provisioner.start(successor, never())
      expect(await started).toBeInstanceOf(Error)
      expect(await answers(next.endpointUrl)).toBe(true)
      expect((await inspect(input.workspaceId)).Id).toBe(next.instanceId)
      const { seen } = await stateOf(next.endpointUrl)
      expect(seen['.auth_token']?.text).toBe('auth-token-value')
    })

    it('hears of no death that another one has asked for', async () => {
      const exits: UnexpectedExit[] = []
      stalled.onUnexpectedExit((exit) => exits.push(exit))
      const input = startInput()
      await stalled.start(input, never())
      await provisioner.stop(input)
      const witness = startInput()
      await stalled.start(witness, never())
      await runIn(witness.workspaceId, ['/bin/sh', '-c', 'kill -9 $(pidof node)'])
      await eventually(() => exits.length > 0)
      expect(exits.map(({ workspaceId }) => workspaceId)).toEqual([witness.workspaceId])
    })
  })

  it('leaves the boxes of another platform on the same engine alone', async () => {
    const otherScope = newScope()
    const other = await createDockerIn(otherScope)
    await other.open()
    const input = startInput()
    const { endpointUrl } = await other.start(input, never())
    expect(await provisioner.listBoxes()).toEqual([])
    expect(await provisioner.isRunning(input)).toBe(false)
    await provisioner.stop(input)
    await provisioner.removeVolume(input)
    await expect(provisioner.start({ ...input, generation: 9 }, never())).rejects.toThrow()
    expect(await answers(endpointUrl)).toBe(true)
    await other.close()
    await removeScope(otherScope)
  })

  it('touches no container of somebody else that has its name', async () => {
    const workspaceId = randomUUID()
    const stranger = await docker.createContainer({
      name: `ws-${workspaceId.slice(0, 12)}`,
      Image: await fakeRuntimeImage(),
    })
    try {
      await expect(provisioner.start(startInput({ workspaceId }), never())).rejects.toMatchObject({
        message: expect.stringContaining('taken by a container of somebody else'),
      })
      await provisioner.stop({ workspaceId })
      expect((await stranger.inspect()).Id).toBe(stranger.id)
    } finally {
      await stranger.remove({ force: true })
    }
  })

  it('uses no volume of another workspace whose id begins alike', async () => {
    const input = startInput()
    await provisioner.start(input, never())
    await provisioner.stop(input)
    const twin = `${input.workspaceId.slice(0, 13)}${randomUUID().slice(13)}`
    await expect(
      provisioner.start(startInput({ workspaceId: twin }), never()),
    ).rejects.toMatchObject({ message: expect.stringContaining("not this workspace's") })
    expect(await provisioner.volumeHasFile({ workspaceId: twin }, 'config.yaml')).toBe(false)
    expect(await volumesOf({ workspaceId: input.workspaceId })).toHaveLength(5)
  })

  it('removes the helpers of a platform that died, and none that another one uses', async () => {
    const input = startInput()
    await provisioner.start(input, never())
    await provisioner.stop(input)
    const Labels = { ...workspaceLabels(scope, input.workspaceId), [HELPER_LABEL]: 'true' }
    const Binds = [`${volumeName(input.workspaceId, 'configs')}:/configs`]
    const Image = await fakeRuntimeImage()
    await docker.createContainer({ Image, Labels, HostConfig: { Binds } })
    const openAt = async (ms: number): Promise<void> => {
      const clock = { ...systemClock, now: () => new Date(Date.now() + ms) }
      const own = await createDockerIn(scope, { clock })
      await own.open()
      await own.close()
    }
    await openAt(30_000)
    expect(await containersOf({ scope })).toHaveLength(1)
    await openAt(90_000)
    expect(await containersOf({ scope })).toEqual([])
    await docker.createContainer({ Image, Labels, HostConfig: { Binds } })
    await provisioner.removeVolume(input)
    expect([...(await containersOf({ scope })), ...(await volumesOf({ scope }))]).toEqual([])
  })

  describe('images', () => {
    it('are chosen by the kind of the runtime', async () => {
      const byKind = { special: 'atrium-nobody-has-this:1' }
      const images = { fallback: await fakeRuntimeImage(), byKind, pull: 'never' as const }
      const own = await createDockerIn(scope, { images })
      await own.open()
      const input = startInput()
      await expect(own.start({ ...input, runtimeKind: 'special' }, never())).rejects.toMatchObject({
        internal: expect.stringContaining('no image atrium-nobody-has-this:1'),
      })
      await own.start(input, never())
      await own.close()
      expect(await containersOf({ scope })).toHaveLength(1)
    })

    it('are asked of a registry only when the configuration says so', async () => {
      const asked: string[] = []
      const registry = createServer((request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(404).end()
      })
      registry.listen(0, '127.0.0.1')
      await once(registry, 'listening')
      const { port } = registry.address() as AddressInfo
      const fallback = `127.0.0.1:${port}/atrium/runtime:1`
      for (const pull of ['never', 'missing'] as const) {
        const own = await createDockerIn(scope, { images: { fallback, byKind: {}, pull } })
        await own.open()
        await expect(own.start(startInput(), never())).rejects.toThrow()
        await own.close()
        expect(asked.length > 0).toBe(pull === 'missing')
      }
      registry.close()
    })
  })
})
