import { randomInt, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ensureNetwork } from '../../apps/platform/src/provisioners/docker/box-network.ts'
import { connectEngine } from '../../apps/platform/src/provisioners/docker/engine.ts'
import {
  describeWithDocker,
  docker,
  dockerHost,
  fakeRuntimeImage,
} from '../support/docker-engine.ts'

describeWithDocker('the network of boxes', () => {
  let name: string
  beforeEach(() => {
    name = `test-${randomUUID()}`
  })
  afterEach(async () => {
    for (const { Id } of await networks()) await docker.getNetwork(Id).remove()
  })

  const networks = async () => docker.listNetworks({ filters: { name: [name] } })

  /** One of that name, with addresses of its own and an id that fits. */
  const addTwin = async (subnet: string, fits: (id: string) => boolean): Promise<string> => {
    const network = { Name: name, IPAM: { Config: [{ Subnet: subnet }] } }
    for (;;) {
      const { id } = await docker.createNetwork(network)
      if (fits(id)) return id
      await docker.getNetwork(id).remove()
    }
  }

  it('is one, whoever asks for it at the same moment', async () => {
    // A throwaway engine has addresses for four networks, and one is that of the other tests.
    const replicas = Array.from({ length: 3 }, () => connectEngine(dockerHost))
    await Promise.all(
      replicas.flatMap((each) => [ensureNetwork(each, name), ensureNetwork(each, name)]),
    )
    expect(await networks()).toMatchObject([
      { Options: { 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' } },
    ])
  })

  it('is the one that a box runs on, where an engine has made two', async () => {
    // Another run's engine may be on this machine.
    const block = `198.18.${randomInt(256)}`
    const NetworkMode = await addTwin(`${block}.0/29`, (id) => id < '8')
    const Image = await fakeRuntimeImage()
    const box = await docker.createContainer({ Image, HostConfig: { NetworkMode } })
    try {
      await box.start()
      // After it in order: so it would go if nobody ran on it. With two, no box would start.
      await addTwin(`${block}.8/29`, (id) => id > NetworkMode)
      await ensureNetwork(connectEngine(dockerHost), name)
      expect((await networks()).map(({ Id }) => Id)).toEqual([NetworkMode])
    } finally {
      await box.remove({ force: true })
    }
  })
})
