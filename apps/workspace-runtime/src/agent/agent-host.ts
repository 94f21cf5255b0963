/**
 * @module The adapter and whether it can work. An adapter that cannot start leaves the runtime up
 * and says so to everybody who asks it something (contract/runtime 22 #13).
 */
import type { Logger } from 'pino'
import { type AgentAdapter, AgentNotConfigured } from './agent-adapter.ts'

export type AgentState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly adapter: AgentAdapter }
  | { readonly kind: 'not_configured'; readonly reason: string }
  | { readonly kind: 'stopped' }

export class AgentHost {
  readonly #adapter: AgentAdapter
  readonly #log: Logger
  readonly #settled = Promise.withResolvers<void>()
  #state: AgentState = { kind: 'starting' }

  constructor(adapter: AgentAdapter, log: Logger) {
    this.#adapter = adapter
    this.#log = log
  }

  get state(): AgentState {
    return this.#state
  }

  /** Resolves when the start is over, whatever came of it. */
  get settled(): Promise<void> {
    return this.#settled.promise
  }

  /** Starts the adapter. Never throws: a failed start is a state. */
  async start(): Promise<void> {
    try {
      await this.#adapter.start()
      if (this.#state.kind !== 'starting') return
      this.#state = { kind: 'ready', adapter: this.#adapter }
      this.#log.info({ adapter: this.#adapter.name }, 'agent.ready')
    } catch (error) {
      const isExpected = error instanceof AgentNotConfigured
      const reason = isExpected ? error.message : 'the agent could not be started'
      this.#state = { kind: 'not_configured', reason }
      const facts = { adapter: this.#adapter.name, reason }
      this.#log.error(isExpected ? facts : { ...facts, err: error }, 'agent.not_configured')
    } finally {
      this.#settled.resolve()
    }
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#state = { kind: 'stopped' }
    this.#settled.resolve()
    await this.#adapter.stop()
  }

  killAll(): void {
    this.#adapter.killAll()
  }
}
