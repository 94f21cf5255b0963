import { fileURLToPath } from 'node:url'
import { ControlPlane } from '../support/control-plane/control-plane.ts'
import { ProcessMachine } from '../support/control-plane/process-machine.ts'
import { provisionerOf } from '../support/control-plane/provisioner-scene.ts'
import type { ProvisionerHarness } from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const FAKE_RUNTIME = fileURLToPath(
  new URL('../support/fake-runtime/fake-runtime.ts', import.meta.url),
)

const openOn = (controlPlane: ControlPlane) => provisionerOf(controlPlane, { timeoutMs: 30_000 })

provisionerContract(
  'control-plane',
  {
    hasVolumes: false,
    knowsGenerations: false,
    listsBoxes: false,
    startFailures: [],
    exitReasons: undefined,
    keepsConsole: true,
    isolation: 'machine',
  },
  async (): Promise<ProvisionerHarness> => {
    const machines = new Map<string | null, ProcessMachine>()
    const controlPlane = new ControlPlane({
      net: 79,
      make: (input) => {
        const machine = new ProcessMachine(input, { entry: FAKE_RUNTIME, ipc: true })
        machines.set(input.instanceId, machine)
        return machine
      },
    })
    await controlPlane.start()
    const opened = [openOn(controlPlane)]
    return {
      provisioner: opened[0] ?? openOn(controlPlane),
      endpointOf: async (_, { address, instanceId }) =>
        `http://${address}:${await machines.get(instanceId)?.readyPort()}`,
      readConfig: async () => undefined,
      kill: async (workspaceId) => {
        for (const machine of controlPlane.existing(workspaceId)) await machine.kill()
      },
      hasVolume: async () => false,
      reopen: async () => {
        const next = openOn(controlPlane)
        opened.push(next)
        return next
      },
      dispose: async () => {
        for (const provisioner of opened) await provisioner.close()
        await controlPlane.stop()
      },
    }
  },
)
