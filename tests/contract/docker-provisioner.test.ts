import {
  configFileOf,
  createDockerIn,
  newScope,
  removeScope,
  runIn,
  volumesOf,
} from '../support/docker-boxes.ts'
import { describeWithDocker } from '../support/docker-engine.ts'
import { type BackEndTraits, FOLDER_TRAITS, openOver } from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const TRAITS: BackEndTraits = { ...FOLDER_TRAITS, isolation: 'container' }

describeWithDocker('a real engine', () => {
  provisionerContract('docker', TRAITS, async () => {
    const scope = newScope()
    return {
      ...(await openOver(
        () => createDockerIn(scope, { startTimeoutMs: 3_000 }),
        () => removeScope(scope),
      )),
      readConfig: configFileOf,
      kill: async (workspaceId) => runIn(workspaceId, ['/bin/sh', '-c', 'kill -9 $(pidof node)']),
      hasVolume: async (workspaceId) => (await volumesOf({ workspaceId })).length > 0,
    }
  })
})
