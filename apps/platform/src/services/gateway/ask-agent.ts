/** @module Everything but messages, asked of the agent itself: may be repeated at will, so nobody keeps it. */
import type { DetachedExchanges } from '../detached-exchanges.ts'
import type { ForwardTargetDeps } from '../resolve-forward-target.ts'
import { passedHeaders } from './agent-exchange.ts'
import { type CallAgentDeps, callAgent } from './call-agent.ts'
import { endWithCaller } from './end-with-caller.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { callOf, messageTarget } from './message-target.ts'
import type { ReadableMessage } from './readable-message.ts'
import { askedIn, type RecordDeps, recordExchange } from './record-exchange.ts'
import type { TaskAlias } from './task-alias.ts'

export type AskDeps = ForwardTargetDeps &
  CallAgentDeps &
  RecordDeps & { readonly detached: DetachedExchanges }

export async function askAgent(
  deps: AskDeps,
  message: ReadableMessage,
  alias?: TaskAlias,
): Promise<GatewayAnswer> {
  const { call } = message
  const startedAt = deps.clock.now()
  const target = await messageTarget(deps, message.target)
  const answer = await deps.detached.run(call.signal, message.bytes.length, (signal) =>
    callAgent(deps, {
      ...callOf(message, target),
      ...{ alias, signal, requestId: call.requestId },
      headers: passedHeaders(call.headers),
    }),
  )
  recordExchange(deps, { asked: askedIn(message), startedAt, answer })
  if (answer.kind === 'stream') endWithCaller(answer.body, call.signal)
  return answer
}
