/** @module Where a message goes, and what of a call is the same whoever makes it. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Workspace } from '../find-workspace.ts'
import {
  type ForwardTarget,
  type ForwardTargetDeps,
  resolveForwardTarget,
} from '../resolve-forward-target.ts'
import type { AgentCall } from './call-agent.ts'
import type { ReadableMessage } from './readable-message.ts'
import { senderText } from './sender-text.ts'

/** The contract has its own words for a message that has nowhere to go (4.2 step 6). */
export async function messageTarget(
  deps: ForwardTargetDeps,
  workspace: Workspace,
): Promise<ForwardTarget> {
  try {
    return await resolveForwardTarget(deps, workspace)
  } catch (error) {
    if (error instanceof AppError && error.code === 'workspace_url_missing') {
      const { status } = workspace
      // A person has to look after that one: a sender that repeats its message waits for nothing.
      const code = status === 'failed' ? 'workspace_failed' : 'workspace_has_no_url'
      throw new AppError(code, { extensions: { status } })
    }
    throw error
  }
}

type SharedCall = Pick<
  AgentCall,
  'target' | 'request' | 'bytes' | 'traits' | 'dialect' | 'id' | 'isIdSent' | 'sender' | 'viewEvent'
>

export function callOf(message: ReadableMessage, target: ForwardTarget): SharedCall {
  const { request, bytes, traits, dialect, given } = message
  const isIdSent = Object.hasOwn(request.envelope, 'id')
  const { viewEvent, caller } = message.call
  const sender = senderText(caller)
  return { target, request, bytes, traits, dialect, id: given.id, isIdSent, sender, viewEvent }
}
