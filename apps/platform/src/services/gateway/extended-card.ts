/** @module The card for those who are known, told with the gateway's own addresses (contract/a2a 2.9). */
import { isJsonObject, type JsonObject, readLossless } from '@atrium/a2a-schema/lossless-json'
import { cardTo } from '@atrium/a2a-schema/translate/card'
import { AppError } from '@atrium/http-kit/app-error'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { type AskDeps, askAgent } from './ask-agent.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { gatewayCard, type PublicCardDeps } from './public-card.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RPC, RpcRefusal } from './rpc-problem.ts'

/** Whatever the agent says of where it is, its callers come back to the gateway. */
export async function extendedCard(
  deps: AskDeps & PublicCardDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<GatewayAnswer> {
  if (mode === 'poll') {
    const text = 'The agent has no extended card'
    throw new RpcRefusal({ code: RPC.extendedCardNotConfigured, message: text })
  }
  const answer = await askAgent(deps, message)
  if (answer.kind === 'stream') return answer
  const envelope = readLossless(answer.body.toString('utf8'))
  // As it is, it would tell the agent's own address.
  if (envelope === undefined) throw new AppError('workspace_invalid_response')
  const card = isJsonObject(envelope) ? envelope['result'] : undefined
  if (!isJsonObject(envelope) || !isJsonObject(card)) return answer
  const result = told(deps, message, card)
  return { ...answer, body: Buffer.from(JSON.stringify({ ...envelope, result })) }
}

function told(deps: PublicCardDeps, message: ReadableMessage, card: JsonObject): JsonObject {
  const shape = message.dialect === '1.0' ? '1.0' : '0.3'
  return cardTo(gatewayCard(deps, message.target, card), shape)
}
