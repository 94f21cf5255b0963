/**
 * @module Secrets that were sealed with a key of before are sealed anew with the current one, so
 * that the old key may go. Several replicas may do it at once, and beside rotations: an envelope is
 * only ever replaced while it is the one that was opened.
 */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import type { Logger } from 'pino'
import type { Db } from '../db/client.ts'
import {
  countStaleEnvelopes,
  type EnvelopePlace,
  listStaleEnvelopes,
  replaceEnvelope,
  type StoredEnvelope,
} from '../db/envelope-store.ts'
import { type Keyring, openSecret, sealSecret } from '../domain/secret-envelope.ts'
import { recordAudit } from './audit-trail.ts'
import { jobControlOwner } from './inspector/job-control.ts'
import { inboundSecretOwner } from './workspace-credentials.ts'

export type ResealDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
  readonly keyring: Keyring
  readonly log: Logger
}

export type ResealResult = {
  readonly resealed: number
  /** Left as they are: their key is not at hand, or they are broken. */
  readonly unopenable: number
  /** Under another key than the current one, the unopenable ones included; at 0 the others may go. */
  readonly left: number
}

const PAGE = 100
/** How many of them a log line names. */
const NAMED = 5

/** Seals at most about `limit` secrets anew. */
export async function resealSecrets(deps: ResealDeps, limit: number): Promise<ResealResult> {
  const { currentKeyId } = deps.keyring
  let resealed = 0
  const unopenable: EnvelopePlace[] = []
  let after: EnvelopePlace | undefined
  while (resealed < limit) {
    const page = await listStaleEnvelopes(deps.db, { currentKeyId, after, limit: PAGE })
    after = page.at(-1)
    if (after === undefined) break
    const opened = page.map((stored) => ({ stored, secret: openOrNothing(deps.keyring, stored) }))
    unopenable.push(
      ...opened.filter(({ secret }) => secret === undefined).map(({ stored }) => stored),
    )
    resealed += await replaceAll(deps, opened)
  }
  if (unopenable.length > 0) {
    const places = unopenable
      .slice(0, NAMED)
      .map(({ workspaceId, slot, key }) => ({ workspace_id: workspaceId, slot, key }))
    deps.log.warn({ count: unopenable.length, places }, 'secrets.unopenable')
  }
  const left =
    resealed + unopenable.length === 0 ? 0 : await countStaleEnvelopes(deps.db, currentKeyId)
  return { resealed, unopenable: unopenable.length, left }
}

type Opened = { readonly stored: StoredEnvelope; readonly secret: Secret | undefined }

async function replaceAll(deps: ResealDeps, page: readonly Opened[]): Promise<number> {
  const { keyring } = deps
  return deps.db.transaction(async (tx) => {
    let count = 0
    for (const { stored, secret } of page) {
      if (secret === undefined) continue
      const sealed = sealSecret(keyring, ownerOf(stored), secret)
      if (await replaceEnvelope(tx, stored, sealed)) count += 1
    }
    if (count > 0) {
      const subject = keyring.currentKeyId
      await recordAudit({ ...deps, db: tx }, { action: 'stored_secret.reseal', subject, count })
    }
    return count
  })
}

function ownerOf({ workspaceId, slot, key }: EnvelopePlace) {
  if (slot === 'env') return { workspaceId, purpose: `env:${key}` } as const
  return slot === 'job-control' ? jobControlOwner(workspaceId) : inboundSecretOwner(workspaceId)
}

function openOrNothing(keyring: Keyring, stored: StoredEnvelope): Secret | undefined {
  try {
    return openSecret(keyring, ownerOf(stored), stored.envelope)
  } catch {
    // Counted, named in the log, and left where it is: somebody may still have its key.
    return undefined
  }
}
