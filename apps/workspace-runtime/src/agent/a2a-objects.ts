/** @module Protocol objects as the SDK wants them: every field present (contract/a2a 3). */
import {
  type Message,
  type Part,
  Role,
  type Task,
  type TaskState,
  type TaskStatus,
} from '@a2a-js/sdk'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { ReplyFile, ReplyPart } from './agent-adapter.ts'

export type TurnIds = { readonly taskId: string; readonly contextId: string }

export type ObjectDeps = { readonly clock: Clock; readonly ids: Ids }

export function textPart(text: string): Part {
  return {
    content: { $case: 'text', value: text },
    metadata: undefined,
    filename: '',
    mediaType: '',
  }
}

/** A file by reference: 0.3 clients see `file.uri`, 1.0 clients `url` (contract/a2a 1.3). */
export function filePart(file: ReplyFile): Part {
  return {
    content: { $case: 'url', value: file.uri },
    metadata: undefined,
    filename: file.name,
    mediaType: file.mimeType,
  }
}

export function replyPart(part: ReplyPart): Part {
  switch (part.kind) {
    case 'text':
      return textPart(part.text)
    case 'data':
      return { ...textPart(''), content: { $case: 'data', value: part.data } }
    case 'bytes': {
      const content = { $case: 'raw', value: Buffer.from(part.bytes) } as const
      return { content, metadata: undefined, filename: part.name, mediaType: part.mimeType }
    }
    case 'file':
      return filePart(part.file)
  }
}

/** A message of the agent. `taskId` stays empty unless there is a task that can be asked for. */
export function agentMessage(
  deps: ObjectDeps,
  ids: { readonly taskId?: string; readonly contextId: string },
  parts: Part[],
): Message {
  return {
    messageId: deps.ids.uuid(),
    contextId: ids.contextId,
    taskId: ids.taskId ?? '',
    role: Role.ROLE_AGENT,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  }
}

export function taskStatus(deps: ObjectDeps, state: TaskState, message?: Message): TaskStatus {
  return { state, message, timestamp: deps.clock.now().toISOString() }
}

/** A task of which nothing is known yet. */
export function emptyTask(ids: { readonly id: string; readonly contextId: string }): Task {
  return { ...ids, status: undefined, artifacts: [], history: [], metadata: undefined }
}

/** The text of a message: text parts and, as JSON, data parts; a line break between two. */
export function textOf(parts: readonly Part[]): string {
  const texts: string[] = []
  for (const { content } of parts) {
    if (content?.$case === 'text') texts.push(content.value)
    if (content?.$case === 'data') texts.push(JSON.stringify(content.value))
  }
  return texts.join('\n')
}
