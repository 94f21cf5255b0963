/** @module What a machine is started with: its variables, and its credentials among them. */
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { StartInput } from '../provisioner.ts'

/**
 * Contract/platform 7.5 and 7.10. What the platform says wins over a workspace's own variables, and
 * nothing of the platform's own environment is in it. The workspace token is there twice: runtimes of
 * the contract know it by their own name.
 */
export function machineEnvironment(
  input: Pick<StartInput, 'workspaceId' | 'generation' | 'env' | 'secretEnv' | 'credentials'>,
): Readonly<Record<string, string>> {
  const { authToken, inboundSecret } = input.credentials
  const environment: Record<string, string> = {}
  for (const [name, secret] of Object.entries(input.secretEnv)) environment[name] = secret.reveal()
  return Object.assign(environment, input.env, {
    [RUNTIME_ENV.workspaceId]: input.workspaceId,
    [RUNTIME_ENV.advertiseAddress]: '1',
    [RUNTIME_ENV.generation]: String(input.generation),
    [RUNTIME_ENV.authToken]: authToken.reveal(),
    [RUNTIME_ENV.contractAuthToken]: authToken.reveal(),
    [RUNTIME_ENV.inboundSecret]: inboundSecret.reveal(),
  })
}
