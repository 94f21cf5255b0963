import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import type { SandboxOptions } from '../../apps/platform/src/provisioners/open-confinement.ts'
import { createIn, makeBase, recordOf, SANDBOX_OFF, SANDBOX_ON } from '../support/process-boxes.ts'
import { runtimePid } from '../support/process-tree.ts'
import { isSandboxThere } from '../support/sandbox-there.ts'
import {
  type BackEndTraits,
  FOLDER_TRAITS,
  openOver,
  type ProvisionerHarness,
} from './provisioner-bench.ts'
import { provisionerContract } from './provisioner-contract.ts'

const TRAITS: BackEndTraits = {
  ...FOLDER_TRAITS,
  startFailures: [
    ...FOLDER_TRAITS.startFailures,
    { traits: 'garbage', reason: 'invalid ready message' },
    { traits: 'no-message', reason: 'invalid ready message' },
    { traits: 'endless-message', reason: 'invalid ready message' },
  ],
  isolation: 'process',
}

async function makeHarness(sandbox: SandboxOptions): Promise<ProvisionerHarness> {
  const baseDir = makeBase()
  return {
    ...(await openOver(
      async () => createIn(baseDir, { startTimeoutMs: 3_000, sandbox }),
      async () => rmSync(baseDir, { recursive: true, force: true }),
    )),
    readConfig: async (workspaceId, name) => {
      const path = join(baseDir, workspaceId, 'configs', name)
      if (!existsSync(path)) return undefined
      return { text: readFileSync(path, 'utf8'), mode: statSync(path).mode & 0o777 }
    },
    kill: async (workspaceId) => {
      process.kill(runtimePid(recordOf(baseDir, workspaceId).pid), 'SIGKILL')
    },
    hasVolume: async (workspaceId) => existsSync(join(baseDir, workspaceId)),
  }
}

provisionerContract('process', TRAITS, () => makeHarness(SANDBOX_OFF))

describe.skipIf(!isSandboxThere())('with bubblewrap', () => {
  provisionerContract('process+bubblewrap', { ...TRAITS, isolation: 'sandbox' }, () =>
    makeHarness(SANDBOX_ON),
  )
})
