/**
 * @module What an agent that fetches its messages answers to one of them (contract/a2a 2.8): it ends
 * the message in the ledger, in the words of its sender, who reads it as any other answer.
 */
import type { RpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { factsOf } from '@atrium/a2a-schema/result-facts'
import { translateError } from '@atrium/a2a-schema/translate/error'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import { AppError } from '@atrium/http-kit/app-error'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import type { Db } from '../../db/client.ts'
import { findDelivery } from '../../db/delivery-store.ts'
import { completePolled } from '../../db/poll-writes.ts'
import type { Sender } from '../../domain/caller.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'

/** What it answers: one of the two, in whichever dialect. */
export type AgentAnswer = { readonly result: JsonValue } | { readonly error: JsonObject }

export type AgentReply = {
  /** Of the agent that answers. */
  readonly workspaceId: WorkspaceId
  readonly queueId: string
  readonly answer: AgentAnswer
}

/**
 * Ends the message with the answer; the same answer once more changes nothing. Throws
 * `delivery_not_found`, `delivery_over` for another answer than the one it has, and
 * `invalid_request_body` for what is no end of a task.
 */
export async function replyToDelivery(
  deps: { readonly db: Db },
  reply: AgentReply,
): Promise<{ readonly isRepetition: boolean }> {
  const delivery = await findPolled(deps.db, reply)
  const response = responseOf(delivery, reply.answer)
  const bytes = Buffer.from(JSON.stringify(response))
  const facts = 'result' in response ? factsOf(response['result']) : undefined
  const isDone = await completePolled(deps.db, {
    id: delivery.id,
    workspaceId: delivery.workspaceId,
    response: bytes,
    responseBody: isStorableJson(response) ? response : null,
    upstreamTaskId: facts?.kind === 'task' ? (facts.taskId ?? null) : null,
  })
  if (isDone) return { isRepetition: false }
  const over = await findPolled(deps.db, reply)
  if (over.response?.equals(bytes) === true) return { isRepetition: true }
  throw new AppError('delivery_over', { extensions: { queue_id: over.id, state: over.state } })
}

async function findPolled(db: Db, { queueId, workspaceId }: AgentReply): Promise<Delivery> {
  const delivery = z.guid().safeParse(queueId).success ? await findDelivery(db, queueId) : undefined
  if (delivery?.workspaceId !== workspaceId || delivery.mode !== 'poll') {
    throw new AppError('delivery_not_found')
  }
  return delivery
}

/** As the sender reads it; the id of the request is put in for each who asks. */
function responseOf(delivery: Delivery, answer: AgentAnswer): JsonObject {
  const { dialect } = delivery
  const other = dialect === '1.0' ? '0.3' : '1.0'
  if ('error' in answer) {
    const error = translateError(answer.error, other, dialect)
    return { jsonrpc: '2.0', id: null, error }
  }
  if (factsOf(answer.result)?.isFinal !== true) {
    throw new AppError('invalid_request_body', {
      message: 'result must be a message, or a task that has come to an end or waits for input',
    })
  }
  const operation = 'send'
  const result = translateResult({ operation, result: answer.result }, other, dialect)
  if (result === undefined) throw new AppError('invalid_request_body')
  return { jsonrpc: '2.0', id: null, result: named(result, delivery) }
}

/** A message without an id gets one that a repetition gets as well. */
function named(result: JsonValue, delivery: Delivery): JsonValue {
  if (!isJsonObject(result)) return result
  const message = result['message']
  if (isJsonObject(message)) return { ...result, message: named(message, delivery) }
  const isMessage = Array.isArray(result['parts'])
  if (!isMessage || (typeof result['messageId'] === 'string' && result['messageId'] !== '')) {
    return result
  }
  return { ...result, messageId: `${delivery.id}-reply`, contextId: contextOf(result, delivery) }
}

function contextOf(message: JsonObject, delivery: Delivery): JsonValue {
  return message['contextId'] || delivery.contextId || delivery.id
}

/**
 * A message of a polling agent to who has sent it one, which names that: as good as a reply. One that
 * names nothing of the kind is a message like any other.
 */
export async function replyByMessage(
  deps: { readonly db: Db },
  sent: { readonly sender: Sender; readonly to: WorkspaceId; readonly request: RpcRequest },
): Promise<void> {
  const { sender, to, request } = sent
  const message = isJsonObject(request.params) ? request.params['message'] : undefined
  if (sender.kind !== 'workspace' || !isJsonObject(message)) return
  const queueId = answeredBy(message)
  const delivery = queueId === undefined ? undefined : await findDelivery(deps.db, queueId)
  const isForSender = delivery?.senderWorkspaceId === to
  if (!isForSender || delivery.workspaceId !== sender.workspaceId) return
  if (delivery.mode !== 'poll' || delivery.state !== 'queued') return
  const result = { ...message, kind: 'message', role: 'agent' }
  await replyToDelivery(deps, {
    workspaceId: sender.workspaceId,
    queueId: delivery.id,
    answer: { result },
  })
}

function answeredBy(message: JsonObject): string | undefined {
  const { metadata } = message
  if (!isJsonObject(metadata)) return undefined
  const named = [metadata['in_reply_to'], metadata['queue_id']]
  return named.map((value) => z.guid().safeParse(value).data).find((id) => id !== undefined)
}
