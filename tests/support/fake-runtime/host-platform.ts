/**
 * @module A platform that a test may kill: hosts the process provisioner, starts one workspace and
 * tells its parent where it is. argv: base folder, workspace id, traits of the fake runtime,
 * and for another runtime than that one its entry and its platform's URL.
 */
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { z } from 'zod'
import { SANDBOX_MODES } from '../../../apps/platform/src/provisioners/open-confinement.ts'
import { createProcessProvisioner } from '../../../apps/platform/src/provisioners/process-provisioner.ts'
import { systemClock, systemIds } from '../../../packages/http-kit/src/clock.ts'
import { Secret } from '../../../packages/http-kit/src/secret.ts'

const [, , baseDir = '', workspaceId = '', traits = '', entry, platformUrl = ''] = process.argv
const provisioner = createProcessProvisioner({
  baseDir,
  runtimeEntry: entry ?? fileURLToPath(new URL('fake-runtime.ts', import.meta.url)),
  nodePath: process.execPath,
  log: pino({ level: 'silent' }),
  clock: systemClock,
  ids: systemIds,
  sandbox: {
    mode: z.enum(SANDBOX_MODES).parse(process.env['ATRIUM_SANDBOX'] ?? 'off'),
    codeRoot: fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, ''),
    codeFolders: [
      'apps/workspace-runtime',
      'packages',
      'node_modules',
      'tests/support/fake-runtime',
    ],
    readable: [],
  },
})
await provisioner.open()
const { endpointUrl } = await provisioner.start(
  {
    workspaceId,
    generation: 1,
    runtimeKind: 'echo',
    tier: 2,
    configFiles: new Map(),
    env: { FAKE_RUNTIME: traits, ...(platformUrl === '' ? {} : { PLATFORM_URL: platformUrl }) },
    secretEnv: {},
    credentials: { authToken: new Secret('host-auth'), inboundSecret: new Secret('host-inbound') },
  },
  new AbortController().signal,
)
process.send?.({ endpointUrl })
