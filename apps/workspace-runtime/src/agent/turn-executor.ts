/** @module One message of a user from its arrival to its answer: the SDK's `AgentExecutor`. */
import { type Part, TaskState } from '@a2a-js/sdk'
import {
  AgentEvent,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import type { Logger } from 'pino'
import type { WorkQueue } from '../work-queue.ts'
import { agentMessage, textOf, textPart } from './a2a-objects.ts'
import {
  type AgentAdapter,
  AgentFailure,
  COMPLETED,
  type ReplyForm,
  type TurnEnd,
} from './agent-adapter.ts'
import type { AgentHost } from './agent-host.ts'
import { type OpenWorkspaceFile, openAttachments } from './attachments.ts'
import { CallState } from './call-state.ts'
import {
  type EndState,
  MessageReplyWriter,
  type ReplyWriter,
  TaskReplyWriter,
} from './reply-writer.ts'
import type { WorkMeter } from './work-meter.ts'

const EMPTY_INPUT = 'Error: message contained no text content.'

export type TurnExecutorDeps = {
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly host: AgentHost
  readonly queue: WorkQueue
  readonly meter: WorkMeter
  readonly openFile: OpenWorkspaceFile
}

type Run = {
  readonly taskId: string
  readonly controller: AbortController
  readonly done: Promise<void>
}

class Canceled extends Error {}

/** Runs turns through the queue; a client that goes away changes nothing, only a cancel does. */
export class TurnExecutor implements AgentExecutor {
  readonly #deps: TurnExecutorDeps
  readonly #runs = new Set<Run>()
  readonly #stopping = new AbortController()

  constructor(deps: TurnExecutorDeps) {
    this.#deps = deps
  }

  /** Never rejects: how a turn ended is said on the bus. */
  execute = async (context: RequestContext, bus: ExecutionEventBus): Promise<void> => {
    const controller = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    const run: Run = { taskId: context.taskId, controller, done: promise }
    const ticket = CallState.of(context.context)?.take()
    this.#runs.add(run)
    try {
      // Also for what still arrives on an open connection while the runtime is stopping.
      const signal = AbortSignal.any([controller.signal, this.#stopping.signal])
      if (await this.#mayBegin(context, bus)) {
        await this.#runTurn(context, this.#writerFor(context, bus), signal)
      }
    } finally {
      this.#runs.delete(run)
      ticket?.release()
      resolve()
    }
  }

  /** Whether a turn of this task waits or is worked on. */
  isBusyWith(taskId: string): boolean {
    return [...this.#runs].some((run) => run.taskId === taskId)
  }

  /** Resolves when nothing of the task runs any more. */
  cancelTask = async (taskId: string): Promise<void> => {
    const runs = [...this.#runs].filter((run) => run.taskId === taskId)
    for (const run of runs) run.controller.abort(new Canceled('canceled by the user'))
    await Promise.all(runs.map((run) => run.done))
  }

  /** Ends every turn and waits until each has said so. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the workspace is shutting down'))
    await Promise.all([...this.#runs].map((run) => run.done))
  }

  /** False: the answer is the endpoint's, and what is said here goes nowhere. */
  async #mayBegin(context: RequestContext, bus: ExecutionEventBus): Promise<boolean> {
    const { taskId, contextId } = context
    const facts = { taskId, contextId, hasTask: this.#formFor(context) === 'task' }
    if ((await CallState.of(context.context)?.begin(facts)) !== false) return true
    bus.publish(AgentEvent.message(agentMessage(this.#deps, { contextId }, [textPart('busy')])))
    return false
  }

  /** Somebody who comes back for the answer needs a task; who waits for it is served with a message. */
  #formFor(context: RequestContext): ReplyForm {
    if (context.task !== undefined) return 'task'
    const { host } = this.#deps
    const { messageId, parts } = context.userMessage
    const adapter = host.state.kind === 'ready' ? host.state.adapter : undefined
    const wanted = adapter?.formFor?.({ messageId, text: textOf(parts) })
    if (wanted !== undefined) return wanted
    const isFollowed =
      CallState.of(context.context)?.isStreaming === true ||
      context.request.configuration?.returnImmediately === true
    return isFollowed ? 'task' : 'message'
  }

  #writerFor(context: RequestContext, bus: ExecutionEventBus): ReplyWriter {
    const input = {
      deps: this.#deps,
      bus,
      ids: { taskId: context.taskId, contextId: context.contextId },
    }
    const isLegacy = context.context.requestedVersion !== '1.0'
    if (this.#formFor(context) === 'task') {
      const isStreaming = CallState.of(context.context)?.isStreaming === true
      return new TaskReplyWriter({ ...input, endsWithMessage: isLegacy && isStreaming })
    }
    return new MessageReplyWriter({ ...input, failsWith: isLegacy ? 'message' : 'task' })
  }

  async #runTurn(context: RequestContext, writer: ReplyWriter, signal: AbortSignal): Promise<void> {
    const { parts } = context.userMessage
    const work = this.#deps.meter.begin(textOf(parts))
    let failure: string | undefined
    try {
      writer.open()
      const state = this.#deps.host.state
      if (state.kind !== 'ready') throw new AgentFailure('the agent is not available')
      const input = { context, parts, writer, signal }
      const end = await this.#deps.queue.run(() => this.#work(state.adapter, input), signal)
      failure = tellEnd(writer, end)
    } catch (error) {
      const end = this.#endOf(error, { signal, taskId: context.taskId })
      if (end.state === TaskState.TASK_STATE_FAILED) failure = end.text
      writer.abandon(end.state, end.text)
    } finally {
      work.end(failure)
    }
  }

  async #work(
    adapter: AgentAdapter,
    input: {
      readonly context: RequestContext
      readonly parts: readonly Part[]
      readonly writer: ReplyWriter
      readonly signal: AbortSignal
    },
  ): Promise<TurnEnd> {
    const { context, parts, writer, signal } = input
    writer.working()
    const files = await openAttachments(parts, this.#deps.openFile)
    try {
      const text = textOf(parts)
      if (text === '' && files.attachments.length === 0) {
        writer.text(EMPTY_INPUT)
        return COMPLETED
      }
      const { taskId, contextId } = context
      const { messageId } = context.userMessage
      const turn = { text, attachments: files.attachments, contextId, taskId, messageId }
      return await adapter.execute(turn, writer, signal)
    } finally {
      files.close()
    }
  }

  #endOf(
    error: unknown,
    at: { readonly signal: AbortSignal; readonly taskId: string },
  ): { readonly state: EndState; readonly text: string } {
    if (at.signal.aborted) {
      const isCancel = at.signal.reason instanceof Canceled
      return isCancel
        ? { state: TaskState.TASK_STATE_CANCELED, text: 'canceled' }
        : {
            state: TaskState.TASK_STATE_FAILED,
            text: `${AGENT_ERROR_PREFIX} the workspace is shutting down`,
          }
    }
    if (error instanceof AgentFailure) {
      this.#deps.log.warn({ task_id: at.taskId, err: error.cause }, 'agent.turn_failed')
      return { state: TaskState.TASK_STATE_FAILED, text: `${AGENT_ERROR_PREFIX} ${error.message}` }
    }
    this.#deps.log.error({ task_id: at.taskId, err: error }, 'agent.turn_broke')
    return { state: TaskState.TASK_STATE_FAILED, text: `${AGENT_ERROR_PREFIX} internal error` }
  }
}

/** Says how the turn ended; returns the words of a failure. */
function tellEnd(writer: ReplyWriter, end: TurnEnd): string | undefined {
  switch (end.state) {
    case 'completed':
      writer.complete(end.text)
      return undefined
    case 'input-required':
      writer.pause(TaskState.TASK_STATE_INPUT_REQUIRED, end.text)
      return undefined
    case 'auth-required':
      writer.pause(TaskState.TASK_STATE_AUTH_REQUIRED, end.text)
      return undefined
    case 'rejected':
      writer.abandon(TaskState.TASK_STATE_REJECTED, end.text)
      return undefined
    case 'failed':
      writer.abandon(TaskState.TASK_STATE_FAILED, `${AGENT_ERROR_PREFIX} ${end.text}`)
      return end.text
  }
}
