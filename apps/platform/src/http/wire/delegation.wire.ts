/** @module JSON shapes of delegations (contract/platform 4.10, contract/runtime 7.3, 9.4). */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import { firstCharacters, storableText } from '../../domain/activity.ts'
import {
  DELEGATION_STATUSES,
  type Delegation,
  type DelegationEnd,
  failedWith,
} from '../../domain/delegation.ts'
import { parseWorkspaceId, type WorkspaceId } from '../../domain/ids.ts'

const status = z.enum(DELEGATION_STATUSES)

export const delegateBody = z.looseObject({
  target_id: z.string(),
  task: z.string().min(1),
  idempotency_key: z.string().min(1).max(200).nullish(),
})

/** In the contract's words. Throws `invalid_delegation`. */
export function parseDelegate(body: unknown): {
  readonly targetId: WorkspaceId
  readonly task: string
  readonly idempotencyKey: string | null
} {
  const parsed = delegateBody.safeParse(body)
  if (!parsed.success) throw new AppError('invalid_delegation', { cause: parsed.error })
  const { target_id, task, idempotency_key } = parsed.data
  return {
    targetId: targetOf(target_id),
    task: storableText(task),
    idempotencyKey: idempotency_key == null ? null : storableText(idempotency_key),
  }
}

function targetOf(text: string): WorkspaceId {
  const id = parseWorkspaceId(text)
  if (id !== undefined) return id
  throw new AppError('invalid_delegation', { message: 'target_id must be a valid UUID' })
}

export const recordBody = z.looseObject({
  target_id: z.string(),
  task: z.string(),
  delegation_id: z.guid().transform((id) => id.toLowerCase()),
})

/** Throws `invalid_delegation`. */
export function parseRecord(body: unknown): {
  readonly id: string
  readonly targetId: WorkspaceId
  readonly task: string
} {
  const parsed = recordBody.safeParse(body)
  if (!parsed.success) throw new AppError('invalid_delegation', { cause: parsed.error })
  const { target_id, task, delegation_id: id } = parsed.data
  return { id, targetId: targetOf(target_id), task: storableText(task) }
}

export const updateBody = z.looseObject({
  status: z.enum(['completed', 'failed']),
  error: z.string().nullish(),
  response_preview: z.string().nullish(),
})

/** Longer is not a preview: it is cut. */
const MAX_TEXT_CHARACTERS = 64 * 1024

/** Throws `invalid_delegation`. */
export function parseUpdate(body: unknown): DelegationEnd {
  const parsed = updateBody.safeParse(body)
  if (!parsed.success) {
    const message = "status must be 'completed' or 'failed'"
    throw new AppError('invalid_delegation', { message, cause: parsed.error })
  }
  const { error, response_preview: preview } = parsed.data
  if (parsed.data.status === 'failed') return failedWith(error || 'the delegation failed')
  const text = firstCharacters(storableText(preview ?? ''), MAX_TEXT_CHARACTERS)
  return { status: 'completed', text }
}

export const delegatedResponse = z.object({
  delegation_id: z.uuid(),
  status: z.literal('delegated'),
  target_id: z.uuid(),
})
export const delegationHitResponse = z.object({
  delegation_id: z.uuid(),
  status,
  target_id: z.uuid(),
  idempotent_hit: z.literal(true),
})
export const recordedResponse = z.object({
  delegation_id: z.uuid(),
  status: z.literal('recorded'),
})
export const updatedDelegationResponse = z.object({
  delegation_id: z.uuid(),
  status: z.enum(['completed', 'failed']),
})

export const delegationResponse = z
  .object({
    delegation_id: z.uuid(),
    type: z.literal('delegation'),
    source_id: z.uuid(),
    target_id: z.uuid(),
    status,
    summary: z.string(),
    response_preview: z.string().nullable(),
    error: z.string().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    timestamp: z.iso.datetime(),
  })
  .meta({ id: 'Delegation' })

const SUMMARY_CHARACTERS = 200

export function renderDelegation(delegation: Delegation): z.input<typeof delegationResponse> {
  const updatedAt = delegation.updatedAt.toISOString()
  return {
    delegation_id: delegation.id,
    type: 'delegation',
    source_id: delegation.workspaceId,
    target_id: delegation.targetId,
    status: delegation.status,
    summary: firstCharacters(delegation.task, SUMMARY_CHARACTERS),
    response_preview: delegation.responsePreview,
    error: delegation.error,
    created_at: delegation.createdAt.toISOString(),
    updated_at: updatedAt,
    timestamp: updatedAt,
  }
}
