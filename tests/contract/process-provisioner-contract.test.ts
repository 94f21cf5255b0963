import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import type { SandboxOptions } from '../../apps/platform/src/provisioners/open-confinement.ts'
import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import { createIn, makeBase, recordOf, SANDBOX_OFF, SANDBOX_ON } from '../support/process-boxes.ts'
import { runtimePid } from '../support/process-tree.ts'
import { isSandboxThere } from '../support/sandbox-there.ts'
import type { BackEndTraits, ProvisionerHarness } from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const TRAITS: BackEndTraits = {
  hasVolumes: true,
  knowsGenerations: true,
  listsBoxes: true,
  keepsConsole: true,
  startFailures: [
    { traits: 'exits', reason: 'exit code 3' },
    { traits: 'garbage', reason: 'invalid ready message' },
    { traits: 'no-message', reason: 'invalid ready message' },
    { traits: 'endless-message', reason: 'invalid ready message' },
    { traits: 'silent', reason: 'was not ready within' },
  ],
  exitReasons: { killed: 'signal SIGKILL', exitedWith4: 'exit code 4' },
  isolation: 'process',
}

async function makeHarness(sandbox: SandboxOptions): Promise<ProvisionerHarness> {
  const baseDir = makeBase()
  const opened: Provisioner[] = []
  const open = async (): Promise<Provisioner> => {
    const provisioner = createIn(baseDir, { startTimeoutMs: 3_000, sandbox })
    await provisioner.open()
    opened.push(provisioner)
    return provisioner
  }
  return {
    provisioner: await open(),
    endpointOf: async (_, result) => result.endpointUrl ?? '',
    readConfig: async (workspaceId, name) => {
      const path = join(baseDir, workspaceId, 'configs', name)
      if (!existsSync(path)) return undefined
      return { text: readFileSync(path, 'utf8'), mode: statSync(path).mode & 0o777 }
    },
    kill: async (workspaceId) => {
      process.kill(runtimePid(recordOf(baseDir, workspaceId).pid), 'SIGKILL')
    },
    hasVolume: async (workspaceId) => existsSync(join(baseDir, workspaceId)),
    reopen: open,
    dispose: async () => {
      for (const provisioner of opened) await provisioner.close()
      rmSync(baseDir, { recursive: true, force: true })
    },
  }
}

provisionerContract('process', TRAITS, () => makeHarness(SANDBOX_OFF))

describe.skipIf(!isSandboxThere())('with bubblewrap', () => {
  provisionerContract('process+bubblewrap', { ...TRAITS, isolation: 'sandbox' }, () =>
    makeHarness(SANDBOX_ON),
  )
})
