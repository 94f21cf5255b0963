/** @module A caller's webhook for one task (contract/a2a 1.9). Pure. */
import type { AgentDialect, TaskKey } from './task-stream.ts'

export type PushConfig = {
  readonly key: TaskKey
  readonly configId: string
  /** Whose it is: who made it, and nobody else, is told of it. */
  readonly sender: string
  /** How the webhook is told. */
  readonly dialect: AgentDialect
  readonly url: string
  /** What the webhook knows us by; sealed wherever it is kept. */
  readonly token: string | undefined
  readonly scheme: string | undefined
  readonly credentials: string | undefined
  /** Of a message that has to wait: whose end is told to it. */
  readonly deliveryId?: string | undefined
}

/** Webhooks of one task. */
export const MAX_CONFIGS = 20
/** After this many attempts a notification is given up. */
export const MAX_PUSH_ATTEMPTS = 8

/** Grows from a second to five minutes. */
export function pushBackoffMs(attempts: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, attempts - 1), 300_000)
}

/** Whether the text can be the value of a header, and of nothing else. */
export function isHeaderText(text: string): boolean {
  return text.length <= 4_096 && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text)
}
