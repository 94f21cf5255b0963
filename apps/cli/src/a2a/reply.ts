/**
 * @module What an agent answers (A2A 0.3, contract/a2a 1.4 and 1.5): one message, or a task with a
 * status and artifacts, at once or as a stream of events. Foreign protocol: unknown keys are
 * ignored, and a part that is not understood is skipped rather than refused.
 */
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import { z } from 'zod'
import type { FileReference } from './file-part.ts'

const textPart = z.looseObject({ kind: z.literal('text'), text: z.string() })
const fileRefPart = z.looseObject({
  kind: z.literal('file'),
  file: z.looseObject({
    uri: z.string().min(1),
    name: z.string().nullish(),
    mimeType: z.string().nullish(),
  }),
})

const parts = z.array(z.unknown()).default([])
const message = z.looseObject({
  kind: z.literal('message'),
  parts,
  contextId: z.string().nullish(),
  taskId: z.string().nullish(),
})
const status = z.looseObject({
  state: z.string(),
  message: z.looseObject({ parts }).nullish(),
})
const artifact = z.looseObject({ artifactId: z.string().default(''), parts })
const task = z.looseObject({
  kind: z.literal('task'),
  id: z.string(),
  contextId: z.string().nullish(),
  status,
  artifacts: z.array(artifact).nullish(),
})
const statusUpdate = z.looseObject({
  kind: z.literal('status-update'),
  taskId: z.string().nullish(),
  contextId: z.string().nullish(),
  status,
  final: z.boolean().nullish(),
})
const artifactUpdate = z.looseObject({
  kind: z.literal('artifact-update'),
  taskId: z.string().nullish(),
  contextId: z.string().nullish(),
  artifact,
  append: z.boolean().nullish(),
})

const resultSchema = z.discriminatedUnion('kind', [message, task, statusUpdate, artifactUpdate])

/** States after which nothing more comes (contract/a2a 1.4). */
const TERMINAL = new Set(['completed', 'canceled', 'failed', 'rejected'])
const INTERRUPTED = new Set(['input-required', 'auth-required'])

/** A piece of text, and whether it continues the piece before it. */
export type ReplyText = { readonly text: string; readonly isContinuation: boolean }

/** Collects an answer, whole or event by event. */
export class Reply {
  /**
   * `completed` for a plain message, `failed` for one that says so (contract/runtime 8.2); otherwise
   * the state of the task as last heard.
   */
  state = 'unknown'
  taskId: string | undefined
  contextId: string | undefined
  readonly files: FileReference[] = []
  #text = ''
  #lastArtifactId: string | undefined

  get text(): string {
    return this.#text
  }

  /** Whether the agent has finished, one way or another. */
  get isTerminal(): boolean {
    return TERMINAL.has(this.state)
  }

  /** Whether nothing more is to be expected now: finished, or waiting for the user. */
  get isSettled(): boolean {
    return this.isTerminal || INTERRUPTED.has(this.state)
  }

  get isFailure(): boolean {
    return this.state === 'failed' || this.state === 'rejected' || this.state === 'canceled'
  }

  /**
   * Takes one JSON-RPC `result` and returns the text that it added, in order; undefined when it is
   * not a result of A2A 0.3.
   */
  take(result: unknown): readonly ReplyText[] | undefined {
    const parsed = resultSchema.safeParse(result)
    if (!parsed.success) return undefined
    const event = parsed.data
    this.contextId = event.contextId ?? this.contextId
    switch (event.kind) {
      case 'message':
        this.taskId = event.taskId ?? this.taskId
        this.state = saysFailure(event.parts) ? 'failed' : 'completed'
        return this.#takeParts(event.parts, false)
      case 'task': {
        this.taskId = event.id
        this.state = event.status.state
        const added = (event.artifacts ?? []).flatMap((one) => this.#takeParts(one.parts, false))
        return [...added, ...this.#takeStatus(event.status)]
      }
      case 'status-update':
        this.taskId = event.taskId ?? this.taskId
        this.state = event.status.state
        return this.#takeStatus(event.status)
      case 'artifact-update': {
        this.taskId = event.taskId ?? this.taskId
        const { artifactId } = event.artifact
        const isContinuation = event.append === true && artifactId === this.#lastArtifactId
        this.#lastArtifactId = artifactId
        return this.#takeParts(event.artifact.parts, isContinuation)
      }
    }
  }

  /** What a working agent says in between is not its answer: only a settled status counts. */
  #takeStatus(given: z.infer<typeof status>): ReplyText[] {
    return this.isSettled ? this.#takeParts(given.message?.parts ?? [], false) : []
  }

  #takeParts(given: readonly unknown[], isContinuation: boolean): ReplyText[] {
    const pieces: string[] = []
    for (const part of given) {
      const asText = textPart.safeParse(part)
      if (asText.success) pieces.push(asText.data.text)
      const asFile = fileRefPart.safeParse(part)
      if (asFile.success) this.#addFile(asFile.data.file)
    }
    const text = pieces.join('\n')
    return this.#addText(text, isContinuation)
  }

  #addText(text: string, isContinuation: boolean): ReplyText[] {
    // Agents repeat the whole answer in their last message; it has been shown already.
    if (text === '' || (!isContinuation && this.#text.trim() === text.trim())) return []
    const joins = isContinuation || this.#text === ''
    this.#text += joins ? text : `\n${text}`
    return [{ text, isContinuation }]
  }

  #addFile(file: z.infer<typeof fileRefPart>['file']): void {
    if (this.files.some((known) => known.uri === file.uri)) return
    this.files.push({ uri: file.uri, name: file.name ?? '', mimeType: file.mimeType ?? '' })
  }
}

function saysFailure(given: readonly unknown[]): boolean {
  const [first] = given.map((part) => textPart.safeParse(part)).filter(({ success }) => success)
  return first?.data?.text.startsWith(AGENT_ERROR_PREFIX) === true
}
