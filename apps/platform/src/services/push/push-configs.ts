/**
 * @module Callers' webhooks for tasks whose agent cannot be trusted with them: one of another dialect,
 * or one that is not called at all. An address that nobody may connect to is refused when it is given,
 * and again with every call (contract/a2a 2.6).
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import type { Db } from '../../db/client.ts'
import {
  countPushConfigs,
  deletePushConfig,
  findPushConfig,
  listPushConfigs,
  type PushConfigKey,
  type StoredPushConfig,
  savePushConfig,
} from '../../db/push-config-store.ts'
import { isHeaderText, MAX_CONFIGS, type PushConfig } from '../../domain/push-config.ts'
import { type Keyring, openSecret, sealSecret } from '../../domain/secret-envelope.ts'
import type { TaskKey } from '../../domain/task-stream.ts'
import { type AddressPolicy, type Resolve, validateAgentUrl } from '../../upstream/agent-address.ts'

export type PushConfigDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly keyring: Keyring
  readonly addressPolicy: AddressPolicy
  readonly resolve: Resolve
}

const MAX_URL_LENGTH = 2_048
const MAX_ID_LENGTH = 256

/** Throws `invalid_agent_url`, `invalid_request_body`. False: the id is somebody else's. */
export async function keepPushConfig(deps: PushConfigDeps, config: PushConfig): Promise<boolean> {
  assertUsable(config)
  const { policy, resolve } = { policy: deps.addressPolicy, resolve: deps.resolve }
  const url = await validateAgentUrl(config.url, { policy, resolve, mayBeUnresolved: true })
  const isNew = (await findPushConfig(deps.db, config)) === undefined
  if (isNew && (await countPushConfigs(deps.db, config.key)) >= MAX_CONFIGS) {
    throw refused(`a task may have ${MAX_CONFIGS} of them`)
  }
  const stored = { ...config, url: url.href, envelope: sealed(deps.keyring, config) }
  return await savePushConfig(deps.db, stored, deps.clock.now())
}

function assertUsable({ url, configId, token, scheme, credentials }: PushConfig): void {
  if (url.length > MAX_URL_LENGTH) throw refused('the url is too long')
  if (configId === '' || configId.length > MAX_ID_LENGTH || configId.includes('\0')) {
    throw refused('the id is empty or too long')
  }
  for (const text of [token, scheme, credentials]) {
    if (text !== undefined && !isHeaderText(text)) throw refused('it cannot be sent as a header')
  }
}

function refused(why: string): AppError {
  return new AppError('invalid_request_body', { message: `push notification config: ${why}` })
}

function ownerOf(key: TaskKey) {
  return { workspaceId: key.workspaceId, purpose: 'push-config' as const }
}

function sealed(keyring: Keyring, config: PushConfig): string | null {
  const { key, token, scheme, credentials } = config
  if (token === undefined && scheme === undefined && credentials === undefined) return null
  const secret = new Secret(JSON.stringify([token ?? null, scheme ?? null, credentials ?? null]))
  return sealSecret(keyring, ownerOf(key), secret)
}

/** Throws when the key of its envelope is gone. */
export function openPushConfig(keyring: Keyring, stored: StoredPushConfig): PushConfig {
  const { envelope, ...config } = stored
  const parts: unknown =
    envelope === null ? [] : JSON.parse(openSecret(keyring, ownerOf(stored.key), envelope).reveal())
  const [token, scheme, credentials] = Array.isArray(parts) ? parts : []
  return { ...config, token: text(token), scheme: text(scheme), credentials: text(credentials) }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** `sender` undefined: whoever may see all of the workspace. */
export async function readPushConfig(
  deps: PushConfigDeps,
  key: PushConfigKey,
  sender: string | undefined,
): Promise<PushConfig | undefined> {
  const stored = await findPushConfig(deps.db, key)
  if (stored === undefined || !isSeenBy(stored, sender)) return undefined
  return openPushConfig(deps.keyring, stored)
}

export async function readPushConfigs(
  deps: PushConfigDeps,
  key: TaskKey,
  sender: string | undefined,
): Promise<PushConfig[]> {
  const all = await listPushConfigs(deps.db, key)
  return all
    .filter((stored) => isSeenBy(stored, sender))
    .map((stored) => openPushConfig(deps.keyring, stored))
}

/** False when there is none that the sender could see. */
export async function dropPushConfig(
  deps: PushConfigDeps,
  key: PushConfigKey,
  sender: string | undefined,
): Promise<boolean> {
  const stored = await findPushConfig(deps.db, key)
  if (stored === undefined || !isSeenBy(stored, sender)) return false
  return await deletePushConfig(deps.db, key)
}

function isSeenBy(stored: StoredPushConfig, sender: string | undefined): boolean {
  return sender === undefined || stored.sender === sender
}
