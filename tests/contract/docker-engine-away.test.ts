import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { UnexpectedExit } from '../../apps/platform/src/provisioners/provisioner.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import {
  containerOf,
  containersOf,
  createDockerIn,
  newScope,
  removeScope,
  runIn,
} from '../support/docker-boxes.ts'
import { describeWithDocker } from '../support/docker-engine.ts'
import { openEngineHop } from '../support/engine-hop.ts'
import { eventually } from '../support/eventually.ts'
import { answers, never, startInput } from './provisioner-bench.ts'

describeWithDocker('docker provisioner', () => {
  let scope: string
  beforeEach(() => {
    scope = newScope()
  })
  afterEach(async () => removeScope(scope))

  const inspect = async (workspaceId: string) => (await containerOf(workspaceId)).inspect()

  it('leaves nothing of a start that failed, though the engine keeps its console to itself', async () => {
    const hop = await openEngineHop('/logs?')
    const own = await createDockerIn(scope, { dockerHost: hop.dockerHost, startTimeoutMs: 500 })
    await own.open()
    await expect(own.start(startInput({ traits: 'silent' }), never())).rejects.toMatchObject({
      internal: expect.stringContaining('was not ready within 500 ms'),
    })
    expect(await containersOf({ scope })).toEqual([])
    await own.close()
    await hop.close()
  })

  describe('an engine that is away', () => {
    it('is an error and never a false, and its boxes are found when it is back', async () => {
      const hop = await openEngineHop()
      const own = await createDockerIn(scope, { dockerHost: hop.dockerHost })
      const exits: UnexpectedExit[] = []
      own.onUnexpectedExit((exit) => exits.push(exit))
      await own.open()
      const survivor = startInput()
      const victim = startInput({ generation: 4 })
      const { endpointUrl } = await own.start(survivor, never())
      await own.start(victim, never())
      await hop.cut()
      const calls = [
        () => own.isRunning(survivor),
        () => own.stop(survivor),
        () => own.start({ ...survivor, generation: 2 }, never()),
        () => own.removeVolume(survivor),
        () => own.volumeHasFile(survivor, 'config.yaml'),
        () => own.execRead(survivor, '/configs/config.yaml', 100),
        () => own.writeInboundSecret(survivor, new Secret('x')),
        () => own.readConsole(survivor, 100),
        () => own.listBoxes(),
      ]
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({ code: 'provisioner_unavailable' })
      }
      await runIn(victim.workspaceId, ['/bin/sh', '-c', 'kill -9 $(pidof node)'])
      await eventually(async () => !(await inspect(victim.workspaceId)).State.Running)
      expect(exits).toEqual([])
      await hop.restore()
      await eventually(() => exits.length > 0)
      expect(exits).toEqual([
        { workspaceId: victim.workspaceId, generation: 4, reason: 'signal SIGKILL' },
      ])
      expect(await own.isRunning(survivor)).toBe(true)
      expect(await answers(endpointUrl)).toBe(true)
      await own.close()
      await hop.close()
    })

    it('keeps no platform from starting', async () => {
      const own = await createDockerIn(scope, { dockerHost: 'unix:///nonexistent/docker.sock' })
      await own.open()
      await expect(own.isRunning({ workspaceId: randomUUID() })).rejects.toMatchObject({
        code: 'provisioner_unavailable',
      })
      await own.close()
    })
  })
})
