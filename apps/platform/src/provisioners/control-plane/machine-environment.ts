/** @module What a machine is started with: its variables, and its credentials among them. */
import { AppError } from '@atrium/http-kit/app-error'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import { configSegments } from '../box-folder.ts'
import type { StartInput } from '../provisioner.ts'

/** Linux takes no longer string than 128 KiB into an environment (execve(2)). */
const MAX_FILES_LENGTH = 120_000

/**
 * Contract/platform 7.5 and 7.10. What the platform says wins over a workspace's own variables, and
 * nothing of the platform's own environment is in it. The workspace token is there twice: runtimes of
 * the contract know it by their own name.
 */
export function machineEnvironment(
  input: Pick<
    StartInput,
    'workspaceId' | 'generation' | 'configFiles' | 'env' | 'secretEnv' | 'credentials'
  >,
): Readonly<Record<string, string>> {
  const { authToken, inboundSecret } = input.credentials
  const environment: Record<string, string> = {}
  for (const [name, secret] of Object.entries(input.secretEnv)) environment[name] = secret.reveal()
  return Object.assign(environment, input.env, encodedFiles(input.configFiles), {
    [RUNTIME_ENV.workspaceId]: input.workspaceId,
    [RUNTIME_ENV.advertiseAddress]: '1',
    [RUNTIME_ENV.generation]: String(input.generation),
    [RUNTIME_ENV.authToken]: authToken.reveal(),
    [RUNTIME_ENV.contractAuthToken]: authToken.reveal(),
    [RUNTIME_ENV.inboundSecret]: inboundSecret.reveal(),
  })
}

/** The contract's control plane has no place for files (wart W24): they go along. */
function encodedFiles(files: StartInput['configFiles']): Record<string, string> {
  if (files.size === 0) return {}
  const contents = [...files].map(([path, content]) => {
    return [configSegments(path).join('/'), Buffer.from(content).toString('base64')] as const
  })
  const text = JSON.stringify(Object.fromEntries(contents))
  if (text.length > MAX_FILES_LENGTH) {
    throw new AppError('internal', { internal: 'the configuration does not fit an environment' })
  }
  return { [RUNTIME_ENV.configFiles]: text }
}
