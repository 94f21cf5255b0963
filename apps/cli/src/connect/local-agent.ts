/** @module The agent on this machine: given a message, it answers. */
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import type { FileReference } from '../a2a/file-part.ts'
import { CliFailure } from '../failure.ts'
import type { InboundMessage } from './inbound-message.ts'

export type LocalAnswer = { readonly text: string; readonly files: readonly FileReference[] }

/** The agent had the message, and was gone before it answered. */
export class AgentBrokeOff extends CliFailure {}

export type LocalAgent = {
  /**
   * Resolves with the answer; what went wrong is an answer too. Rejects only when there is none yet
   * and the message has to come again.
   */
  answer(message: InboundMessage): Promise<LocalAnswer>
  /** Ends at once whatever it started. */
  killAll(): void
  close(): Promise<void>
}

/** What a message fits into beside its envelope, as JSON text (contract/platform 4.12: 1 MiB). */
const MAX_JSON_BYTES = 900_000
const CUT = '\n[the answer was longer than a message can be and was cut here]'

/** An answer that says what went wrong, in the words of every other agent (contract/runtime 8.2). */
export function failureAnswer(reason: string): LocalAnswer {
  return { text: fittingText(`${AGENT_ERROR_PREFIX} ${reason}`), files: [] }
}

/** `text` as it can be stored and sent: without U+0000 and half characters, and not too long. */
export function fittingText(text: string): string {
  const whole = text.replaceAll('\u0000', '').toWellFormed()
  if (Buffer.byteLength(JSON.stringify(whole)) <= MAX_JSON_BYTES) return whole
  let [fits, tooLong] = [0, whole.length]
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2)
    const isFitting = Buffer.byteLength(JSON.stringify(whole.slice(0, middle))) <= MAX_JSON_BYTES
    if (isFitting) fits = middle
    else tooLong = middle
  }
  return `${whole.slice(0, fits).toWellFormed()}${CUT}`
}
