/**
 * @module What the official kits choose by the beginning of a message's id or text (contract/a2a 4): rows
 * of data, longer names before those they begin with.
 */
import type { ReplyForm, ReplyPart, TurnEnd } from '../agent-adapter.ts'

export type Step =
  | { readonly kind: 'progress'; readonly text: string }
  | {
      readonly kind: 'artifact'
      readonly id: string
      readonly part: ReplyPart
      readonly isAppended?: boolean
      readonly isLast?: boolean
    }
  | { readonly kind: 'text'; readonly text: string }
  /** Works for so long, unless it is canceled. */
  | { readonly kind: 'hold'; readonly ms: number }

export type Behaviour = {
  readonly prefix: string
  readonly form: ReplyForm
  readonly steps: readonly Step[]
  readonly end: TurnEnd
}

/** Longer than any kit waits before it asks again or subscribes. */
const RESUBSCRIBE_HOLD_MS = 4_000
const WORK_HOLD_MS = 3_000
const LONG_RUNNING_MS = 1_000
const UNTIL_CANCELED_MS = 600_000

const done: TurnEnd = { state: 'completed', text: 'done' }
const asks: TurnEnd = { state: 'input-required', text: 'more input, please' }

const text = (value: string): ReplyPart => ({ kind: 'text', text: value })
const file: ReplyPart = {
  kind: 'bytes',
  bytes: Buffer.from('tck'),
  name: 'output.txt',
  mimeType: 'text/plain',
}
const link: ReplyPart = {
  kind: 'file',
  file: { uri: 'https://example.com/output.txt', name: 'output.txt', mimeType: 'text/plain' },
}
const data: ReplyPart = { kind: 'data', data: { key: 'value', count: 42 } }

const task = (prefix: string, steps: readonly Step[], end: TurnEnd = done): Behaviour => ({
  prefix,
  form: 'task',
  steps,
  end,
})
const whole = (part: ReplyPart): Step => ({ kind: 'artifact', id: 'result', part, isLast: true })
const chunk = (value: string, place: { isAppended: boolean; isLast: boolean }): Step => ({
  kind: 'artifact',
  id: 'chunked',
  part: text(value),
  ...place,
})
const chunks: readonly Step[] = [
  chunk('chunk-1 ', { isAppended: false, isLast: false }),
  chunk('chunk-2', { isAppended: true, isLast: true }),
]

export const BEHAVIOURS: readonly Behaviour[] = [
  task('tck-complete-task', [], { state: 'completed', text: 'Hello from TCK' }),
  task('tck-artifact-text', [whole(text('Generated text content'))]),
  task('tck-artifact-file-url', [whole(link)]),
  task('tck-artifact-file', [whole(file)]),
  task('tck-artifact-data', [whole(data)]),
  {
    prefix: 'tck-message-response',
    form: 'message',
    steps: [{ kind: 'text', text: 'Direct message response' }],
    end: { state: 'completed' },
  },
  task('tck-input-required', [], asks),
  task('tck-auth-required', [], { state: 'auth-required', text: 'credentials, please' }),
  task('tck-reject-task', [], { state: 'rejected', text: 'rejected' }),
  task('tck-task-failure', [], { state: 'failed', text: 'failed, as asked' }),
  task('tck-stream-artifact-text', [whole(text('Streamed text content'))]),
  task('tck-stream-artifact-file', [whole(file)]),
  task('tck-stream-artifact-chunked', chunks),
  task('tck-stream-chunked', chunks),
  task('tck-stream-basic', [whole(text('Streamed text content'))]),
  task('tck-stream-ordering-001', [whole(text('Ordered output'))]),
  task('tck-stream-001', [whole(text('Stream hello from TCK'))]),
  task('tck-stream-002', []),
  task('tck-stream-003', [whole(text('Stream task lifecycle'))]),
  task('tck-long-running', [{ kind: 'hold', ms: LONG_RUNNING_MS }, whole(text('At last'))]),
  task('tck-cancel', [{ kind: 'hold', ms: UNTIL_CANCELED_MS }]),
  task('tck-multi-turn', [], asks),
  task('test-resubscribe-message-id', [
    { kind: 'progress', text: 'still at it' },
    { kind: 'hold', ms: RESUBSCRIBE_HOLD_MS },
  ]),
]

/** The kit for 0.3 names nothing: it wants an agent that works for a while and then asks. */
export const UNNAMED = task('', [{ kind: 'hold', ms: WORK_HOLD_MS }], asks)
/** A name that this table does not have yet. */
export const UNKNOWN = task('tck-', [])

/** After a question: the word that ends the conversation. */
export const LAST_WORD = /^\s*done\b/i
export const AFTER_LAST_WORD = task('', [])

/** By the message's id first, then by its text; undefined when neither names one. */
export function behaviourNamed(message: {
  readonly messageId: string
  readonly text: string
}): Behaviour | undefined {
  for (const name of [message.messageId, message.text.trimStart()]) {
    const found = BEHAVIOURS.find(({ prefix }) => name.startsWith(prefix))
    if (found !== undefined) return found
    if (name.startsWith(UNKNOWN.prefix)) return UNKNOWN
  }
  return undefined
}
