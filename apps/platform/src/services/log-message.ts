/** @module The row of the activity log that a message to an agent leaves (contract/platform 4.11). */
import type { RpcRequest } from '@atrium/a2a-schema/json-rpc'
import type { NewActivity } from '../db/activity-store.ts'
import { storableText } from '../domain/activity.ts'
import { type Sender, sourceOf } from '../domain/caller.ts'
import { workspaceIdSchema } from '../domain/ids.ts'
import type { Workspace } from './find-workspace.ts'

/** What is known as soon as a message is: the rest is how it ended. */
export function messageActivity(message: {
  readonly sender: Sender
  readonly target: Workspace
  readonly request: RpcRequest
}): Omit<NewActivity, 'id' | 'createdAt' | 'requestBody'> {
  const { sender, target, request } = message
  const workspaceId = workspaceIdSchema.parse(target.id)
  return {
    workspaceId,
    activityType: 'a2a_receive',
    ...sourceOf(sender, workspaceId),
    targetId: workspaceId,
    method: storableText(request.method),
    summary: storableText(`${request.method} → ${target.name}`),
    responseBody: null,
    durationMs: null,
    status: 'ok',
    errorDetail: null,
  }
}
