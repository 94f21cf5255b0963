/** @module Events of a flow for one caller, in its dialect and under its own id. */
import type { EventFlow } from '../../domain/task-stream.ts'
import { type AgentStreamDeps, flowFrames } from './agent-stream.ts'
import { endWithCaller } from './end-with-caller.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import type { ReadableMessage } from './readable-message.ts'

/**
 * Whatever dialect an event is in, it says so by its shape. A caller who has left meanwhile, or who
 * leaves between two events, follows nothing any longer.
 */
export function streamAnswer(
  deps: Pick<AgentStreamDeps, 'heartbeats'>,
  message: ReadableMessage,
  flow: EventFlow,
): GatewayAnswer {
  const { given, dialect, call } = message
  const body = flowFrames(deps, {
    flow,
    reading: {
      ...{ operation: 'stream', id: given.id, to: dialect, alias: undefined },
      from: dialect === '1.0' ? '0.3' : '1.0',
      view: call.viewEvent,
    },
  })
  endWithCaller(body, call.signal)
  return { kind: 'stream', status: 200, body }
}
