/** @module What a send tells of its task, for a list that its agent cannot give (contract/a2a 2.6). */
import { isJsonObject, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { readResult } from '@atrium/a2a-schema/result-facts'
import type { TaskIndex } from '../streams/task-index.ts'
import { type AgentOfTaskDeps, isTranslated } from './agent-of-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import type { ReadableMessage } from './readable-message.ts'
import { senderText } from './sender-text.ts'

export type NoteTaskDeps = Pick<AgentOfTaskDeps, 'dialects'> & { readonly taskIndex: TaskIndex }

/** Only where a caller of 1.0 speaks to an agent of 0.3. Returns at once. */
export function noteTask(
  deps: NoteTaskDeps,
  message: ReadableMessage,
  answer: GatewayAnswer,
): void {
  if (answer.kind !== 'json' || answer.facts?.kind !== 'task') return
  if (message.dialect !== '1.0' || !isTranslated(deps, message)) return
  const envelope = parseLossless(answer.body.toString('utf8'))
  const read = readResult(isJsonObject(envelope) ? envelope['result'] : undefined)
  const taskId = read?.value['id']
  if (read?.kind !== 'task' || typeof taskId !== 'string') return
  deps.taskIndex.note({
    key: { workspaceId: message.call.workspaceId, taskId },
    upstreamTaskId: answer.facts.taskId ?? null,
    deliveryId: null,
    sender: senderText(message.call.caller),
    task: read.value,
    dialect: '1.0',
  })
}
