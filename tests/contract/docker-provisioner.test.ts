import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import {
  configFileOf,
  createDockerIn,
  newScope,
  removeScope,
  runIn,
  volumesOf,
} from '../support/docker-boxes.ts'
import { describeWithDocker } from '../support/docker-engine.ts'
import type { BackEndTraits, ProvisionerHarness } from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const TRAITS: BackEndTraits = {
  hasVolumes: true,
  knowsGenerations: true,
  listsBoxes: true,
  keepsConsole: true,
  startFailures: [
    { traits: 'exits', reason: 'exit code 3' },
    { traits: 'silent', reason: 'was not ready within' },
  ],
  exitReasons: { killed: 'signal SIGKILL', exitedWith4: 'exit code 4' },
  isolation: 'container',
}

describeWithDocker('a real engine', () => {
  provisionerContract('docker', TRAITS, async (): Promise<ProvisionerHarness> => {
    const scope = newScope()
    const opened: Provisioner[] = []
    const open = async (): Promise<Provisioner> => {
      const provisioner = await createDockerIn(scope, { startTimeoutMs: 3_000 })
      await provisioner.open()
      opened.push(provisioner)
      return provisioner
    }
    return {
      provisioner: await open(),
      endpointOf: async (_, result) => result.endpointUrl ?? '',
      readConfig: configFileOf,
      kill: async (workspaceId) => runIn(workspaceId, ['/bin/sh', '-c', 'kill -9 $(pidof node)']),
      hasVolume: async (workspaceId) => (await volumesOf({ workspaceId })).length > 0,
      reopen: open,
      dispose: async () => {
        for (const provisioner of opened) await provisioner.close()
        await removeScope(scope)
      },
    }
  })
})
