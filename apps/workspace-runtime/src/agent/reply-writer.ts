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
  type TurnIds,
  taskStatus,
  textPart,
} from './a2a-objects.ts'
import type { ReplyFile, ReplySink } from './agent-adapter.ts'

const NO_RESPONSE = '(no response generated)'
const ARTIFACT_ID = 'reply'
/** The SDK's clients give up on an event of 4 MiB (contract/a2a 2.7). */
const MAX_PIECE_CHARACTERS = 256 * 1024

export type EndState =
  | TaskState.TASK_STATE_FAILED
  | TaskState.TASK_STATE_CANCELED
  | TaskState.TASK_STATE_REJECTED

export interface ReplyWriter extends ReplySink {
  /** First of all, and before the turn waits for its place. */
  open(): void
  /** The turn has its place and is being worked on. */
  working(): void
  complete(): void
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

  complete(): void {
    const parts = this.#parts()
    this.#publish(parts.length === 0 ? [textPart(NO_RESPONSE)] : parts)
  }

  abandon(state: EndState, text: string): void {
    const isFailure = state !== TaskState.TASK_STATE_CANCELED
    if (isFailure && this.#input.failsWith === 'message') {
      // First of all: the oldest clients show the first part only.
      this.#publish([textPart(text), ...this.#parts()])
      return
    }
    const task = newTask(this.#input, TaskState.TASK_STATE_WORKING)
    const parts = this.#parts()
    if (parts.length > 0) task.artifacts.push(replyArtifact(parts))
    this.#input.bus.publish(AgentEvent.task(task))
    publishEnd(this.#input, state, text)
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
  readonly #input: WriterInput
  #hasArtifact = false

  constructor(input: WriterInput) {
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

  complete(): void {
    if (!this.#hasArtifact) this.#append(textPart(NO_RESPONSE))
    publishState(this.#input, TaskState.TASK_STATE_COMPLETED)
  }

  abandon(state: EndState, text: string): void {
    publishEnd(this.#input, state, text)
  }

  #append(part: Part): void {
    const { bus, ids } = this.#input
    const append = this.#hasArtifact
    this.#hasArtifact = true
    bus.publish(
      AgentEvent.artifactUpdate({
        ...ids,
        artifact: replyArtifact([part]),
        append,
        lastChunk: false,
        metadata: undefined,
      }),
    )
  }
}

function replyArtifact(parts: Part[]): Artifact {
  return {
    artifactId: ARTIFACT_ID,
    name: 'reply',
    description: '',
    parts,
    metadata: undefined,
    extensions: [],
  }
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

function publishEnd({ deps, bus, ids }: WriterInput, state: EndState, text: string): void {
  const message = agentMessage(deps, ids, [textPart(text)])
  bus.publish(
    AgentEvent.statusUpdate({
      ...ids,
      status: taskStatus(deps, state, message),
      metadata: undefined,
    }),
  )
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
