import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { createControlPlaneProvisioner } from '../../apps/platform/src/provisioners/control-plane/control-plane-provisioner.ts'
import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock } from '../../packages/http-kit/src/clock.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { ControlPlane } from '../support/control-plane/control-plane.ts'
import { ProcessMachine } from '../support/control-plane/process-machine.ts'
import type { ProvisionerHarness } from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const FAKE_RUNTIME = fileURLToPath(
  new URL('../support/fake-runtime/fake-runtime.ts', import.meta.url),
)

function openOn(controlPlane: ControlPlane): Provisioner {
  return createControlPlaneProvisioner({
    baseUrl: controlPlane.url,
    orgId: controlPlane.orgId,
    sharedSecret: new Secret(controlPlane.sharedSecret),
    adminToken: new Secret(controlPlane.adminToken),
    adminApiToken: new Secret(controlPlane.adminApiToken),
    timeoutMs: 30_000,
    log: pino({ level: 'silent' }),
    clock: systemClock,
  })
}

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
