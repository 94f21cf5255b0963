/**
 * @module A request on its way to a workspace's agent (contract/platform 4.2). Same dialect on both
 * sides: the original bytes go through untouched unless the envelope had to be completed.
 */
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { AppError } from '@atrium/http-kit/app-error'
import { findLiveWorkspace } from '../../db/workspace-store.ts'
import { resolveDeliveryMode } from '../../domain/delivery-mode.ts'
import { admitMessage, requireRelation } from '../admit-message.ts'
import { replyByMessage } from '../delivery/reply-to-delivery.ts'
import type { Workspace } from '../find-workspace.ts'
import type { OutboundNotes } from '../outbound-notes.ts'
import { answerOperation, type OperationDeps } from './answer-operation.ts'
import { type GatewayAnswer, type GatewayCall, GatewayFailure } from './gateway-call.ts'
import { askedBy, type ReadableMessage, readableMessage } from './readable-message.ts'
import { repairHeaders } from './repair-headers.ts'
import { RpcRefusal } from './rpc-problem.ts'

export type GatewayDeps = OperationDeps & { readonly outbound: OutboundNotes }

/**
 * Sends a request to the workspace's agent, or keeps it for one that fetches its messages. Throws
 * `GatewayFailure` for everything that goes wrong.
 */
export async function callWorkspace(deps: GatewayDeps, call: GatewayCall): Promise<GatewayAnswer> {
  const parsed = parseRpcRequest(call.body, deps.ids)
  try {
    // One read for mode and address: when it fails, nothing was kept and nothing is acknowledged.
    const target = await findTarget(deps, call)
    await admitMessage(deps.db, { sender: call.caller, target })
    const message = readableMessage(deps, parsed, { call, target })
    const { caller: sender, workspaceId: to } = call
    await replyByMessage(deps, { sender, to, request: message.request })
    const answer = await answerOf(deps, message)
    const isHeard = answer.status < 400
    if (isHeard && call.caller.kind === 'workspace') deps.outbound.note(call.caller.workspaceId)
    return { ...answer, headers: { ...answer.headers, ...repairHeaders(message.repairs) } }
  } catch (cause) {
    if (cause instanceof GatewayFailure) throw cause
    const asked = parsed.ok
      ? askedBy(parsed.request)
      : { id: parsed.error.id, dialect: 'unknown' as const }
    throw new GatewayFailure(
      asked,
      cause instanceof RpcRefusal ? { rpc: cause.problem } : { cause },
    )
  }
}

function answerOf(deps: GatewayDeps, message: ReadableMessage): Promise<GatewayAnswer> {
  const mode = deliveryModeOf(message.target)
  return answerOperation(deps, message, mode)
}

/** To who has no business there, a workspace that is not there looks like any other (wart W16). */
async function findTarget(deps: GatewayDeps, call: GatewayCall): Promise<Workspace> {
  const target = await findLiveWorkspace(deps.db, call.workspaceId)
  if (target !== undefined) return target
  await requireRelation(deps.db, call.caller, call.workspaceId)
  throw new AppError('workspace_not_found')
}

/** An external workspace that nobody has registered yet will fetch its messages, or say otherwise. */
function deliveryModeOf(target: Workspace) {
  return resolveDeliveryMode({
    requested: undefined,
    stored: target.deliveryMode,
    runtimeKind: target.runtimeKind,
  })
}
