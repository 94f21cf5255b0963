/**
 * @module The two forms of an answer (contract/runtime 8.3, contract/a2a 1.5). A caller that waits
 * gets one message, text first and files after it; one that streams, or wants to ask later, gets a
 * task whose artifact `reply` grows. A failure is a failed task, but to a waiting caller of 0.3 it is
 * a message as well (contract/runtime 8.2): those clients read `result.parts` and nothing else.
 */
import { type Artifact, type Part, type Task, TaskState } from '@a2a-js/sdk'
import { AgentEvent, type ExecutionEventBus } from '@a2a-js/sdk/server'
import {
  agentMessage,
  filePart,
  type ObjectDeps,
  replyPart,
  type TurnIds,
  taskStatus,
  textPart,
} from './a2a-objects.ts'
import type { ReplyArtifact, ReplyFile, ReplySink } from './agent-adapter.ts'

const NO_RESPONSE = '(no response generated)'
const ARTIFACT_ID = 'reply'
/** The SDK keeps each of them in the task's history, and copies that for every event. */
const MAX_PROGRESS = 200
const MAX_PROGRESS_CHARACTERS = 2_000
/** The SDK's clients give up on an event of 4 MiB (contract/a2a 2.7). */
const MAX_PIECE_CHARACTERS = 256 * 1024
const MAX_FINAL_CHARACTERS = 1024 * 1024

export type EndState =
  | TaskState.TASK_STATE_FAILED
  | TaskState.TASK_STATE_CANCELED
  | TaskState.TASK_STATE_REJECTED

export type PauseState = TaskState.TASK_STATE_INPUT_REQUIRED | TaskState.TASK_STATE_AUTH_REQUIRED

export interface ReplyWriter extends ReplySink {
  /** First of all, and before the turn waits for its place. */
  open(): void
  /** The turn has its place and is being worked on. */
  working(): void
  /** `text` is a last word beside the answer. */
  complete(text?: string): void
  /** Ends with a question to the user, whose next message goes on. */
  pause(state: PauseState, text: string): void
  /** Ends without an answer; what was written so far stays where it is. */
  abandon(state: EndState, text: string): void
}

export type WriterInput = {
  readonly deps: ObjectDeps
  readonly bus: ExecutionEventBus
  readonly ids: TurnIds
}

/** For a caller that waits: nothing until the end, then one message. */
export class MessageReplyWriter implements ReplyWriter {
  readonly #input: WriterInput & { readonly failsWith: 'message' | 'task' }
  readonly #files: Part[] = []
  readonly #artifacts = new Map<string, Artifact>()
  #text = ''

  constructor(input: WriterInput & { readonly failsWith: 'message' | 'task' }) {
    this.#input = input
  }

  open(): void {
    // Who waits is told the end only.
  }

  working(): void {
    // As above.
  }

  text(piece: string): void {
    this.#text += piece
  }

  file(file: ReplyFile): void {
    this.#files.push(filePart(file))
  }

  artifact(artifact: ReplyArtifact): void {
    const before = this.#artifacts.get(artifact.id)
    const isMore = artifact.isAppended && before !== undefined
    const parts = artifact.parts.map(replyPart)
    const all = isMore ? [...before.parts, ...parts] : parts
    this.#artifacts.set(artifact.id, artifactOf(artifact.id, artifact.name, all))
  }

  progress(): void {
    // As above.
  }

  complete(text?: string): void {
    const words = text === undefined ? [] : [textPart(text)]
    const results = [...this.#artifacts.values()].flatMap(({ parts }) => parts)
    const parts = [...this.#parts(), ...results, ...words]
    this.#publish(parts.length === 0 ? [textPart(NO_RESPONSE)] : parts)
  }

  pause(state: PauseState, text: string): void {
    this.#publishTask()
    publishWords(this.#input, state, text)
  }

  abandon(state: EndState, text: string): void {
    const isFailure = state !== TaskState.TASK_STATE_CANCELED
    if (isFailure && this.#input.failsWith === 'message') {
      // First of all: the oldest clients show the first part only.
      this.#publish([textPart(text), ...this.#parts()])
      return
    }
    this.#publishTask()
    publishWords(this.#input, state, text)
  }

  #publishTask(): void {
    const task = newTask(this.#input, TaskState.TASK_STATE_WORKING)
    const parts = this.#parts()
    if (parts.length > 0) task.artifacts.push(replyArtifact(parts))
    task.artifacts.push(...this.#artifacts.values())
    this.#input.bus.publish(AgentEvent.task(task))
  }

  #publish(parts: Part[]): void {
    const { deps, bus, ids } = this.#input
    bus.publish(AgentEvent.message(agentMessage(deps, { contextId: ids.contextId }, parts)))
  }

  #parts(): Part[] {
    return [...(this.#text === '' ? [] : [textPart(this.#text)]), ...this.#files]
  }
}

/** For a caller that streams or asks later. */
export class TaskReplyWriter implements ReplyWriter {
  readonly #input: WriterInput & { readonly endsWithMessage: boolean }
  readonly #said: Part[] = []
  #characters = 0
  #hasReply = false
  #hasArtifact = false
  #progress = 0

  /** `endsWithMessage`: the whole reply once more at the end (contract/runtime 8.3). */
  constructor(input: WriterInput & { readonly endsWithMessage: boolean }) {
    this.#input = input
  }

  open(): void {
    this.#input.bus.publish(AgentEvent.task(newTask(this.#input, TaskState.TASK_STATE_SUBMITTED)))
  }

  working(): void {
    publishState(this.#input, TaskState.TASK_STATE_WORKING)
  }

  text(piece: string): void {
    for (const part of cutText(piece)) this.#append(textPart(part))
  }

  file(file: ReplyFile): void {
    this.#append(filePart(file))
  }

  artifact(artifact: ReplyArtifact): void {
    this.#hasArtifact = true
    const parts = artifact.parts.map(replyPart)
    this.#publish(artifactOf(artifact.id, artifact.name, parts), {
      append: artifact.isAppended,
      lastChunk: artifact.isLast,
    })
  }

  progress(text: string): void {
    this.#progress += 1
    if (this.#progress > MAX_PROGRESS) return
    const words = text.slice(0, MAX_PROGRESS_CHARACTERS).toWellFormed()
    publishWords(this.#input, TaskState.TASK_STATE_WORKING, words)
  }

  complete(text?: string): void {
    if (text !== undefined) {
      publishWords(this.#input, TaskState.TASK_STATE_COMPLETED, text)
      return
    }
    if (!this.#hasReply && !this.#hasArtifact) this.#append(textPart(NO_RESPONSE))
    const parts = this.#finalParts()
    if (parts.length === 0) publishState(this.#input, TaskState.TASK_STATE_COMPLETED)
    else publishMessage(this.#input, TaskState.TASK_STATE_COMPLETED, parts)
  }

  pause(state: PauseState, text: string): void {
    publishWords(this.#input, state, text)
  }

  abandon(state: EndState, text: string): void {
    publishWords(this.#input, state, text)
  }

  /** One text, then the files; nothing when that is not asked for, or too long for one event. */
  #finalParts(): Part[] {
    if (!this.#input.endsWithMessage || this.#characters > MAX_FINAL_CHARACTERS) return []
    const text = joinedText(this.#said)
    const files = this.#said.filter(({ content }) => content?.$case !== 'text')
    return text === '' ? files : [textPart(text), ...files]
  }

  #append(part: Part): void {
    const append = this.#hasReply
    this.#hasReply = true
    if (part.content?.$case === 'text') this.#characters += part.content.value.length
    if (this.#input.endsWithMessage && this.#characters <= MAX_FINAL_CHARACTERS)
      this.#said.push(part)
    this.#publish(replyArtifact([part]), { append, lastChunk: false })
  }

  #publish(
    artifact: Artifact,
    place: { readonly append: boolean; readonly lastChunk: boolean },
  ): void {
    const { bus, ids } = this.#input
    bus.publish(AgentEvent.artifactUpdate({ ...ids, artifact, ...place, metadata: undefined }))
  }
}

function replyArtifact(parts: Part[]): Artifact {
  return artifactOf(ARTIFACT_ID, 'reply', parts)
}

function artifactOf(artifactId: string, name: string, parts: Part[]): Artifact {
  return { artifactId, name, description: '', parts, metadata: undefined, extensions: [] }
}

function newTask({ deps, ids }: WriterInput, state: TaskState): Task {
  return {
    id: ids.taskId,
    contextId: ids.contextId,
    status: taskStatus(deps, state),
    artifacts: [],
    history: [],
    metadata: undefined,
  }
}

function publishState({ deps, bus, ids }: WriterInput, state: TaskState): void {
  bus.publish(
    AgentEvent.statusUpdate({ ...ids, status: taskStatus(deps, state), metadata: undefined }),
  )
}

function publishWords(input: WriterInput, state: TaskState, text: string): void {
  publishMessage(input, state, [textPart(text)])
}

function publishMessage({ deps, bus, ids }: WriterInput, state: TaskState, parts: Part[]): void {
  const status = taskStatus(deps, state, agentMessage(deps, ids, parts))
  bus.publish(AgentEvent.statusUpdate({ ...ids, status, metadata: undefined }))
}

function joinedText(parts: readonly Part[]): string {
  return parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('')
}

/** Never between the halves of a surrogate pair: each piece is read by itself. */
function* cutText(text: string): Generator<string> {
  let rest = text
  while (rest.length > MAX_PIECE_CHARACTERS) {
    const last = rest.charCodeAt(MAX_PIECE_CHARACTERS - 1)
    const isHighHalf = last >= 0xd800 && last <= 0xdbff
    const end = isHighHalf ? MAX_PIECE_CHARACTERS - 1 : MAX_PIECE_CHARACTERS
    yield rest.slice(0, end)
    rest = rest.slice(end)
  }
  if (rest !== '') yield rest
}
