/** @module Tokens over HTTP (contract/platform 3.2, 3.3). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import type { MintedOrgToken, OrgToken } from '../../services/org-tokens.ts'
import type { listWorkspaceTokens } from '../../services/workspace-tokens.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 200
const MAX_NAME_CHARACTERS = 100

export const pageQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .default(DEFAULT_LIMIT)
    .transform((limit) => Math.min(limit, MAX_LIMIT)),
  offset: z.coerce.number().int().min(0).max(2_147_483_647).default(0),
})

/** Throws `invalid_query`. */
export function parseTokenQuery(query: Record<string, string>): z.output<typeof pageQuery> {
  const parsed = pageQuery.safeParse(query)
  if (!parsed.success) throw new AppError('invalid_query', { cause: parsed.error })
  return parsed.data
}

/** The id of a token; one that cannot be one is not found. Throws `token_not_found`. */
export function parseTokenId(text: string): string {
  if (!z.uuid().safeParse(text).success) throw new AppError('token_not_found')
  return text
}

const moment = z.iso.datetime()

export const tokenListResponse = z.object({
  tokens: z.array(
    z.object({
      id: z.uuid(),
      prefix: z.string(),
      created_at: moment,
      last_used_at: moment.nullable(),
    }),
  ),
  count: z.int(),
})

/** The only time that a workspace token is shown. */
export const mintedTokenResponse = z.object({
  auth_token: z.string(),
  workspace_id: z.uuid(),
  message: z.string(),
})
export const testTokenResponse = mintedTokenResponse.omit({ message: true })
export const tokenRevokedResponse = z.object({ status: z.literal('revoked') })

export const orgTokenListResponse = z.object({
  tokens: z.array(
    z.object({
      id: z.uuid(),
      prefix: z.string(),
      name: z.string().optional(),
      org_id: z.string().optional(),
      created_by: z.string(),
      created_at: moment,
      last_used_at: moment.optional(),
    }),
  ),
  count: z.int(),
})

/** The only time that an organisation's token is shown. */
export const mintedOrgTokenResponse = z.object({
  id: z.uuid(),
  prefix: z.string(),
  name: z.string().optional(),
  auth_token: z.string(),
  warning: z.string(),
})
export const orgTokenRevokedResponse = z.object({ revoked: z.uuid() })

export function renderTokenList(
  tokens: Awaited<ReturnType<typeof listWorkspaceTokens>>,
): z.input<typeof tokenListResponse> {
  return {
    tokens: tokens.map((token) => ({
      id: token.id,
      prefix: token.prefix,
      created_at: token.createdAt.toISOString(),
      last_used_at: token.lastUsedAt?.toISOString() ?? null,
    })),
    count: tokens.length,
  }
}

export function renderMintedToken(
  token: Secret,
  workspaceId: string,
): z.input<typeof mintedTokenResponse> {
  return {
    auth_token: token.reveal(),
    workspace_id: workspaceId,
    message: 'Save this token now: it is not shown again.',
  }
}

/** Names stand in listings and terminals: no control characters, no direction marks. */
const orgTokenName = z
  .string()
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u)
  .transform((name) => name.trim())

export const orgTokenBody = z.object({ name: orgTokenName.nullish() })

/** The body is optional. Throws `invalid_request_body`, `name_too_long`. */
export function parseOrgTokenBody(body: unknown): { readonly name: string | null } {
  const parsed = orgTokenBody.safeParse(body ?? {})
  if (!parsed.success) throw new AppError('invalid_request_body', { cause: parsed.error })
  const name = parsed.data.name ?? ''
  if ([...name].length > MAX_NAME_CHARACTERS) throw new AppError('name_too_long')
  return { name: name === '' ? null : name }
}

export function renderOrgTokenList(
  tokens: readonly OrgToken[],
): z.input<typeof orgTokenListResponse> {
  return {
    tokens: tokens.map((token) => ({
      id: token.id,
      prefix: token.prefix,
      ...(token.name === null ? {} : { name: token.name }),
      ...(token.orgId === null ? {} : { org_id: token.orgId }),
      created_by: token.createdBy,
      created_at: token.createdAt.toISOString(),
      ...(token.lastUsedAt === null ? {} : { last_used_at: token.lastUsedAt.toISOString() }),
    })),
    count: tokens.length,
  }
}

export function renderMintedOrgToken({
  token,
  value,
}: MintedOrgToken): z.input<typeof mintedOrgTokenResponse> {
  return {
    id: token.id,
    prefix: token.prefix,
    ...(token.name === null ? {} : { name: token.name }),
    auth_token: value.reveal(),
    warning: 'This token may do everything on this platform. Save it now: it is not shown again.',
  }
}
