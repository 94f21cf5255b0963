/**
 * @module Calls callers' webhooks in the agents' place: in the caller's dialect, with the caller's own
 * credentials, never to an address that agents may not have either, and again for a while when that
 * fails for a reason that may pass (contract/a2a 2.6).
 */
import { isJsonObject, type JsonValue, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { translateEvent } from '@atrium/a2a-schema/translate/event'
import { findAppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Db, Sql } from '../../db/client.ts'
import { loggableDatabaseError } from '../../db/db-error.ts'
import {
  findPushConfig,
  prunePushConfigs,
  type StoredPushConfig,
} from '../../db/push-config-store.ts'
import { pushEnds } from '../../db/push-end-store.ts'
import {
  type ClaimedPush,
  claimPushes,
  PUSH_CHANNEL,
  postponePush,
  removePush,
} from '../../db/push-outbox-store.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { MAX_PUSH_ATTEMPTS, type PushConfig, pushBackoffMs } from '../../domain/push-config.ts'
import type { Keyring } from '../../domain/secret-envelope.ts'
import { type AgentClient, discardAnswer } from '../../upstream/agent-client.ts'
import { outlastOutage } from '../outlast-outage.ts'
import { runEvery } from '../run-every.ts'
import { openPushConfig } from './push-configs.ts'

/** Looked for at least so often: what was postponed comes due without a notification. */
const LOOK_EVERY_MS = 1_000
const PRUNE_EVERY_MS = 60 * 60_000
const KEPT_MS = 7 * 24 * 60 * 60_000
/** A webhook has so long for its answer. */
const ANSWER_MS = 10_000
const LEASE_MS = 60_000
const BATCH = 32
/** Calls at a time: one that hangs holds up its own webhook and no other. */
const MAX_CALLS = 128
/** Of one workspace: what hangs there leaves room for the others. */
const SHARE = 16

export type RelayDeps = {
  readonly db: Db
  readonly sql: Sql
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly log: Logger
  readonly replicaId: string
  readonly keyring: Keyring
  readonly agentClient: Pick<AgentClient, 'post'>
  /** The JSON-RPC reply of 1.0 that tells of a message's end; undefined: its stream does. */
  readonly eventOfEnd: (delivery: Delivery) => Buffer | undefined
}

type Told =
  | 'told'
  /** It will not do better another time. */
  | 'refused'
  | 'later'

export class PushRelay {
  readonly #deps: RelayDeps
  readonly #stopping = new AbortController()
  #wake: (() => void) | undefined
  #isHinted = false
  readonly #calls = new Set<Promise<void>>()
  /** How many of those are of which workspace. */
  readonly #under = new Map<WorkspaceId, number>()
  #running: readonly Promise<void>[] = []

  constructor(deps: RelayDeps) {
    this.#deps = deps
  }

  start(): void {
    if (this.#running.length > 0) return
    const { listen, log } = this.#deps
    listen(PUSH_CHANNEL, {
      payload: () => this.#hint(),
      listening: () => this.#hint(),
      failed: (error) => log.warn({ err: loggableDatabaseError(error) }, 'push.listen_failed'),
    })
    this.#running = [this.#run(), this.#prune()]
  }

  /** Waits for the calls that are made at the moment. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the platform is stopping'))
    this.#wake?.()
    await Promise.all(this.#running)
    await Promise.all(this.#calls)
  }

  #hint(): void {
    this.#isHinted = true
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let isFailing = false
    while (!signal.aborted) {
      try {
        this.#isHinted = false
        const hasMore = await this.#relaySome()
        isFailing = false
        if (hasMore) continue
      } catch (error) {
        // Once per outage: the next turn looks again.
        if (!isFailing) {
          this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'push.look_failed')
        }
        isFailing = true
      }
      await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    if (this.#isHinted) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    const either = AbortSignal.any([woken.signal, this.#stopping.signal])
    // Aborted is what it waits for.
    await this.#deps.clock.sleep(LOOK_EVERY_MS, either).catch(() => undefined)
    this.#wake = undefined
  }

  #prune(): Promise<void> {
    const { db, clock, log } = this.#deps
    const repetition = { clock, log, signal: this.#stopping.signal, failed: 'push.prune_failed' }
    return runEvery(repetition, PRUNE_EVERY_MS, () =>
      prunePushConfigs(db, new Date(clock.now().getTime() - KEPT_MS)),
    )
  }

  async #relaySome(): Promise<boolean> {
    const { db, sql, replicaId, eventOfEnd } = this.#deps
    const isMore = (await pushEnds(db, BATCH, eventOfEnd)) === BATCH
    const limit = Math.min(BATCH, MAX_CALLS - this.#calls.size)
    if (limit === 0) return false
    const claimed = await claimPushes(sql, {
      ...{ replicaId, leaseMs: LEASE_MS, limit },
      ...{ share: SHARE, under: this.#under },
    })
    for (const push of claimed) this.#begin(push)
    return isMore || claimed.length === limit
  }

  #begin(push: ClaimedPush): void {
    const { workspaceId } = push
    this.#under.set(workspaceId, (this.#under.get(workspaceId) ?? 0) + 1)
    const call = this.#relay(push)
      .catch((error: unknown) => {
        // Told or not, it is told again when its lease has run out.
        this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'push.not_settled')
      })
      .finally(() => {
        this.#calls.delete(call)
        const left = (this.#under.get(workspaceId) ?? 0) - 1
        if (left > 0) this.#under.set(workspaceId, left)
        else this.#under.delete(workspaceId)
        // What comes after it is due now, and there is room.
        this.#hint()
      })
    this.#calls.add(call)
  }

  async #relay(push: ClaimedPush): Promise<void> {
    const { db, log } = this.#deps
    // One that nothing could be settled of, so often, is not tried for ever.
    const told = push.attempts > MAX_PUSH_ATTEMPTS ? 'later' : await this.#tell(push)
    if (told === 'later' && push.attempts < MAX_PUSH_ATTEMPTS) {
      await this.#settle(() => postponePush(db, push, pushBackoffMs(push.attempts)))
      return
    }
    if (told !== 'told') {
      log.warn({ workspace_id: push.workspaceId, attempts: push.attempts }, 'push.given_up')
    }
    await this.#settle(() => removePush(db, push))
  }

  /** A database that is away is waited for while the lease lasts: what was told is not told again. */
  async #settle(write: () => Promise<boolean>): Promise<void> {
    const patience = AbortSignal.timeout(LEASE_MS - ANSWER_MS)
    const signal = AbortSignal.any([patience, this.#stopping.signal])
    await outlastOutage(this.#deps, signal, write)
  }

  async #tell(push: ClaimedPush): Promise<Told> {
    const { workspaceId, taskId, configId } = push
    const stored = await findPushConfig(this.#deps.db, { key: { workspaceId, taskId }, configId })
    if (stored === undefined) return 'refused'
    const config = this.#opened(stored)
    if (config === undefined) return 'refused'
    const body = bodyFor(push, config)
    // What went wrong with a stream is told to who reads it; a webhook is for the task.
    return body === undefined ? 'told' : await this.#call(config, body)
  }

  /** Of one whose key is gone nobody knows any more how to call it. */
  #opened(stored: StoredPushConfig): PushConfig | undefined {
    try {
      return openPushConfig(this.#deps.keyring, stored)
    } catch (error) {
      const { workspaceId } = stored.key
      this.#deps.log.warn({ workspace_id: workspaceId, err: error }, 'push.config_not_opened')
      return undefined
    }
  }

  async #call(config: PushConfig, body: Buffer): Promise<Told> {
    try {
      const { status, body: answer } = await this.#deps.agentClient.post({
        endpoint: { url: new URL(config.url), isTrusted: false },
        body,
        headers: headersFor(config),
        // Not ended by a stop: what has been told would be told again.
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      discardAnswer(answer)
      return toldBy(status)
    } catch (error) {
      const code = findAppError(error)?.code
      return code === 'agent_url_not_routable' || code === 'workspace_redirected'
        ? 'refused'
        : 'later'
    }
  }
}

function toldBy(status: number): Told {
  if (status < 300) return 'told'
  return status >= 500 || status === 408 || status === 429 ? 'later' : 'refused'
}

function headersFor(config: PushConfig): Record<string, string> {
  const { dialect, token, scheme, credentials } = config
  return {
    'content-type': dialect === '1.0' ? 'application/a2a+json' : 'application/json',
    'a2a-version': dialect,
    ...(token === undefined ? {} : { 'x-a2a-notification-token': token }),
    ...(scheme === undefined || credentials === undefined
      ? {}
      : { authorization: `${scheme} ${credentials}` }),
  }
}

/** The event without the envelope of JSON-RPC; undefined for an error. */
function bodyFor({ event, dialect }: ClaimedPush, config: PushConfig): Buffer | undefined {
  const told = translateEvent(resultOf(event), dialect, config.dialect)
  return told === undefined ? undefined : Buffer.from(JSON.stringify(told))
}

function resultOf(event: Buffer): JsonValue | undefined {
  const envelope = parseLossless(event.toString('utf8'))
  return isJsonObject(envelope) ? envelope['result'] : undefined
}
