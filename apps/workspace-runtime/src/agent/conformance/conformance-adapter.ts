/** @module The agent that the official conformance kits drive from outside (contract/a2a 4). */
import type { Clock } from '@atrium/http-kit/clock'
import type { AgentAdapter, ReplyForm, ReplySink, Turn, TurnEnd } from '../agent-adapter.ts'
import {
  AFTER_LAST_WORD,
  type Behaviour,
  behaviourNamed,
  LAST_WORD,
  type Step,
  UNNAMED,
} from './behaviours.ts'

/** Tasks whose next message may go on without naming its behaviour again. */
const MAX_OPEN_TASKS = 1_000

export class ConformanceAdapter implements AgentAdapter {
  readonly name = 'conformance'
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #open = new Map<string, Behaviour>()

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock
  }

  async start(): Promise<void> {
    // Nothing to make ready.
  }

  formFor(message: Pick<Turn, 'messageId' | 'text'>): ReplyForm {
    return (behaviourNamed(message) ?? UNNAMED).form
  }

  async execute(turn: Turn, reply: ReplySink, signal: AbortSignal): Promise<TurnEnd> {
    const behaviour = this.#behaviourOf(turn)
    for (const step of behaviour.steps) await this.#do(step, reply, signal)
    signal.throwIfAborted()
    this.#open.delete(turn.taskId)
    if (behaviour.end.state === 'input-required') this.#remember(turn.taskId, behaviour)
    return behaviour.end
  }

  async stop(): Promise<void> {
    // Nothing was taken.
  }

  killAll(): void {
    // Nothing runs outside.
  }

  #behaviourOf(turn: Turn): Behaviour {
    const before = this.#open.get(turn.taskId)
    if (before !== undefined && LAST_WORD.test(turn.text)) return AFTER_LAST_WORD
    return behaviourNamed(turn) ?? before ?? UNNAMED
  }

  #remember(taskId: string, behaviour: Behaviour): void {
    this.#open.set(taskId, behaviour)
    const [oldest] = this.#open.keys()
    if (this.#open.size > MAX_OPEN_TASKS && oldest !== undefined) this.#open.delete(oldest)
  }

  async #do(step: Step, reply: ReplySink, signal: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'progress':
        reply.progress(step.text)
        return
      case 'text':
        reply.text(step.text)
        return
      case 'artifact': {
        const { id, part, isAppended = false, isLast = false } = step
        reply.artifact({ id, name: id, parts: [part], isAppended, isLast })
        return
      }
      case 'hold':
        await this.#clock.sleep(step.ms, signal)
    }
  }
}
