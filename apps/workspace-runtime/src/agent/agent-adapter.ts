/** @module What turns the generic runtime into a particular agent (contract/runtime 12). */
import type { StoredFile } from '@atrium/runtime-contract/file-transfer'

/** A file that came with a message: held open, so that nothing can be put in its place. */
export type Attachment = {
  /** One safe path component; two attachments may have the same. */
  readonly name: string
  readonly mimeType: string
  /** How the message referred to it; undefined when its bytes were in the message. */
  readonly uri: string | undefined
  readonly content: { readonly fd: number; readonly size: number } | { readonly bytes: Uint8Array }
}

/** One message of a user, ready to be worked on. */
export type Turn = {
  readonly text: string
  readonly attachments: readonly Attachment[]
  readonly contextId: string
  readonly taskId: string
  readonly messageId: string
}

/** A file of the answer, by reference (contract/runtime 0, fact 17). */
export type ReplyFile = Pick<StoredFile, 'uri' | 'name' | 'mimeType'>

export type ReplyPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'data'; readonly data: unknown }
  | {
      readonly kind: 'bytes'
      readonly bytes: Uint8Array
      readonly name: string
      readonly mimeType: string
    }
  | { readonly kind: 'file'; readonly file: ReplyFile }

/** A result beside the reply, whole or piece by piece. */
export type ReplyArtifact = {
  /** Pieces of one artifact have the same. */
  readonly id: string
  readonly name: string
  readonly parts: readonly ReplyPart[]
  /** Comes after what was said under this id before. */
  readonly isAppended: boolean
  readonly isLast: boolean
}

/** Where an adapter puts its answer, in pieces and in order. */
export type ReplySink = {
  text(piece: string): void
  file(file: ReplyFile): void
  artifact(artifact: ReplyArtifact): void
  /** What the agent is about, for whoever follows the task. Who only waits is not told. */
  progress(text: string): void
}

/** How a turn ended. What asks for something goes on with the next message of the task. */
export type TurnEnd =
  | { readonly state: 'completed'; readonly text?: string }
  | {
      readonly state: 'input-required' | 'auth-required' | 'rejected' | 'failed'
      readonly text: string
    }

export const COMPLETED: TurnEnd = Object.freeze({ state: 'completed' })

export type ReplyForm = 'task' | 'message'

export interface AgentAdapter {
  readonly name: string

  /** Makes ready. Throws `AgentNotConfigured` when somebody has to change the configuration first. */
  start(): Promise<void>

  /**
   * Works on one turn and resolves when the answer is complete. Throws `AgentFailure` with words
   * for the user; rejects soon after `signal` is aborted, with nothing left running: that is how a
   * turn is canceled.
   */
  execute(turn: Turn, reply: ReplySink, signal: AbortSignal): Promise<TurnEnd>

  /** Whether this message must have an answer of one form; otherwise its caller's way decides. */
  formFor?(message: Pick<Turn, 'messageId' | 'text'>): ReplyForm | undefined

  /** Releases what `start` took. Idempotent. */
  stop(): Promise<void>

  /** The process is ending by now: what runs outside of it is ended without waiting. */
  killAll(): void
}

/** The configuration does not make an agent; `message` is for whoever owns the workspace. */
export class AgentNotConfigured extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'AgentNotConfigured'
  }
}

/** A turn failed for a reason that the user may read. */
export class AgentFailure extends Error {
  constructor(publicText: string, options: { readonly cause?: unknown } = {}) {
    super(publicText, options)
    this.name = 'AgentFailure'
  }
}
