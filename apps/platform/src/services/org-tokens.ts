/** @module Operators' tokens for the whole organisation (contract/platform 3.3). */
import { AppError } from '@atrium/http-kit/app-error'
import { sha256 } from '@atrium/http-kit/bearer'
import { Secret } from '@atrium/http-kit/secret'
import {
  insertOrgToken,
  listLiveOrgTokens,
  type OrgTokenRow,
  revokeOrgToken,
} from '../db/org-token-store.ts'
import { auditActor } from '../domain/audit.ts'
import type { Operator } from '../domain/caller.ts'
import { type AuditContext, type AuditDeps, recordAudit } from './audit-trail.ts'

const PREFIX_LENGTH = 8
const MAX_LISTED = 500

export type OrgToken = OrgTokenRow

/** The live ones, newest first. */
export async function listOrgTokens(deps: Pick<AuditDeps, 'db'>): Promise<OrgToken[]> {
  return listLiveOrgTokens(deps.db, MAX_LISTED)
}

export type MintedOrgToken = { readonly token: OrgToken; readonly value: Secret }

/** Mints one. What it was made with is written down, and its organisation is its maker's. */
export async function mintOrgToken(
  deps: AuditDeps,
  input: {
    readonly name: string | null
    readonly caller: Operator
    readonly requestId: string
  },
): Promise<MintedOrgToken> {
  const { name, caller, requestId } = input
  const value = deps.ids.bearerValue()
  const token = {
    id: deps.ids.uuid(),
    prefix: value.slice(0, PREFIX_LENGTH),
    name,
    createdBy: makerOf(caller),
    orgId: caller.via === 'org_token' ? caller.orgId : null,
    createdAt: deps.clock.now(),
  }
  await deps.db.transaction(async (tx) => {
    await insertOrgToken(tx, { ...token, tokenHash: sha256(value) })
    await recordAudit(
      { ...deps, db: tx },
      {
        action: 'org_token.mint',
        subject: token.id,
        detail: { prefix: token.prefix },
        by: { actor: auditActor(caller), requestId },
      },
    )
  })
  return { token: { ...token, lastUsedAt: null }, value: new Secret(value) }
}

/** Contract/platform 3.3's words; an open development platform is its operator's as well. */
function makerOf(caller: Operator): string {
  if (caller.via === 'org_token') return `org-token:${caller.prefix}`
  return caller.via === 'session' ? 'session' : 'admin-token'
}

/** Revokes one. Throws `token_not_found`. */
export async function revokeOrganisationToken(
  deps: AuditDeps,
  input: { readonly id: string; readonly by: AuditContext },
): Promise<void> {
  const { id, by } = input
  await deps.db.transaction(async (tx) => {
    const prefix = await revokeOrgToken(tx, { id, now: deps.clock.now() })
    if (prefix === undefined) throw new AppError('token_not_found')
    await recordAudit(
      { ...deps, db: tx },
      { action: 'org_token.revoke', subject: id, detail: { prefix }, by },
    )
  })
}
