/** @module What an agent has answered, as a person or a program can read it. */
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import { z } from 'zod'

const part = z.looseObject({
  text: z.string().optional(),
  data: z.unknown().optional(),
  file: z.looseObject({ uri: z.string().optional(), name: z.string().optional() }).optional(),
})
const message = z.looseObject({
  parts: z.array(part).default([]),
  contextId: z.string().optional(),
})
const result = z.looseObject({
  kind: z.string().optional(),
  id: z.string().optional(),
  contextId: z.string().optional(),
  parts: z.array(part).optional(),
  artifacts: z.array(message).optional(),
  status: z.looseObject({ state: z.string(), message: message.nullish() }).optional(),
})
const envelope = z.looseObject({
  result: result.optional(),
  error: z.union([z.string(), z.looseObject({ message: z.string() })]).optional(),
  code: z.string().optional(),
})

export type Reply = {
  /** The task's state; `completed` for a plain message. */
  readonly state: string
  readonly text: string
  readonly files: readonly { readonly uri: string; readonly name: string }[]
  readonly taskId: string | undefined
  readonly contextId: string | undefined
}

export type ReplyReading =
  | { readonly ok: true; readonly reply: Reply }
  | { readonly ok: false; readonly reason: string }

const OPEN_STATES: ReadonlySet<string> = new Set(['submitted', 'working', 'unknown'])
const FAILED_STATES: ReadonlySet<string> = new Set(['failed', 'rejected', 'canceled'])

export function isOpen(reply: Reply): boolean {
  return OPEN_STATES.has(reply.state)
}

export function hasFailed(reply: Reply): boolean {
  return FAILED_STATES.has(reply.state) || reply.text.startsWith(AGENT_ERROR_PREFIX)
}

/** Reads the platform's answer to a send or to `tasks/get`. Never throws. */
export function readReply(body: unknown): ReplyReading {
  const parsed = envelope.safeParse(body)
  if (!parsed.success) return { ok: false, reason: 'the answer is not JSON-RPC' }
  const { result: found, error } = parsed.data
  if (found === undefined) {
    const reason = typeof error === 'string' ? error : error?.message
    return { ok: false, reason: reason ?? 'the answer has no result' }
  }
  return { ok: true, reply: replyOf(found) }
}

function replyOf(found: z.infer<typeof result>): Reply {
  const { status } = found
  const isTask = status !== undefined
  const words = isTask ? wordsOfTask(found) : (found.parts ?? [])
  return {
    state: status?.state ?? 'completed',
    text: textOf(words),
    files: words.flatMap(({ file }) =>
      file?.uri === undefined ? [] : [{ uri: file.uri, name: file.name ?? '' }],
    ),
    taskId: isTask ? found.id : undefined,
    contextId: found.contextId,
  }
}

function wordsOfTask(found: z.infer<typeof result>): readonly z.infer<typeof part>[] {
  const results = (found.artifacts ?? []).flatMap(({ parts }) => parts)
  const last = found.status?.message?.parts ?? []
  if (found.status !== undefined && FAILED_STATES.has(found.status.state))
    return [...last, ...results]
  // Where there is a result, a last word that repeats it says nothing new.
  return results.length > 0 ? results : last
}

function textOf(parts: readonly z.infer<typeof part>[]): string {
  return parts
    .flatMap(({ text, data }) => {
      if (text !== undefined) return [text]
      return data === undefined ? [] : [JSON.stringify(data)]
    })
    .join('')
}
