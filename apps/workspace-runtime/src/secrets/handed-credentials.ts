/**
 * @module Credentials that come in the environment, because nobody could write into the machine
 * before it started (contract/platform 7.10): they are moved into the credential files at once.
 */
import { Secret } from '@atrium/http-kit/secret'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'

export type HandedCredentials = {
  readonly authToken: Secret | undefined
  readonly inboundSecret: Secret | undefined
}

/** Ours first; the other is what runtimes of the contract know it by. */
const AUTH_TOKEN_NAMES = [RUNTIME_ENV.authToken, RUNTIME_ENV.contractAuthToken] as const

/**
 * Takes the credentials out of `env`, which is changed: what reads it later, and what is started
 * with it, finds none. undefined when there were none.
 */
export function takeHandedCredentials(
  env: Record<string, string | undefined>,
): HandedCredentials | undefined {
  const authToken = AUTH_TOKEN_NAMES.map((name) => take(env, name)).find((secret) => secret)
  const inboundSecret = take(env, RUNTIME_ENV.inboundSecret)
  if (authToken === undefined && inboundSecret === undefined) return undefined
  return { authToken, inboundSecret }
}

function take(env: Record<string, string | undefined>, name: string): Secret | undefined {
  const value = env[name]?.trim()
  Reflect.deleteProperty(env, name)
  return value === undefined || value === '' ? undefined : new Secret(value)
}

type Store = { current(): string | undefined; save(value: string): void }

/**
 * Puts them into the files that are missing, and into all when the environment is of a newer start
 * than the files: within one generation a file may hold what the platform has rotated to since, and
 * the environment of a machine never changes. Throws the file system's error.
 */
export function keepHandedCredentials(
  handed: HandedCredentials & { readonly generation: number | undefined },
  stores: { readonly authToken: Store; readonly inboundSecret: Store; readonly generation: Store },
): void {
  const isNewer = isNewerThan(handed.generation, stores.generation.current())
  for (const name of ['authToken', 'inboundSecret'] as const) {
    const secret = handed[name]
    if (secret === undefined) continue
    if (isNewer || stores[name].current() === undefined) stores[name].save(secret.reveal())
  }
  // Last: interrupted before it, the same is done again.
  if (isNewer) stores.generation.save(String(handed.generation))
}

/** Whether the environment is of a newer start than what is stored. */
export function isNewerThan(generation: number | undefined, stored: string | undefined): boolean {
  if (generation === undefined) return false
  return stored === undefined || !/^\d{1,10}$/.test(stored) || generation > Number(stored)
}
