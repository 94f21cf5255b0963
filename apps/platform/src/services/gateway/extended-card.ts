/** @module The card for those who are known, told with the gateway's own addresses (contract/a2a 2.9). */
import { type AskDeps, askAgent } from './ask-agent.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import type { ReadableMessage } from './readable-message.ts'

/** Whatever the agent says of where it is, its callers come back to the gateway. */
export async function extendedCard(
  deps: AskDeps,
  message: ReadableMessage,
): Promise<GatewayAnswer> {
  return await askAgent(deps, message)
}
