/** @module What the endpoint hands to the executor together with a call. */
import type { ServerCallContext } from '@a2a-js/sdk/server'
import type { Ticket } from './work-queue.ts'

const KEY = 'atrium.call'

export class CallState {
  readonly isStreaming: boolean
  readonly #ticket: Ticket
  #isTaken = false

  constructor(call: { readonly isStreaming: boolean; readonly ticket: Ticket }) {
    this.isStreaming = call.isStreaming
    this.#ticket = call.ticket
  }

  /** The executor has the call, and gives the place back when the turn has ended. */
  take(): Ticket {
    this.#isTaken = true
    return this.#ticket
  }

  /** After the SDK has answered: a call that it refused never gets to the executor. */
  releaseIfRefused(): void {
    if (!this.#isTaken) this.#ticket.release()
  }

  /** As a member of the call's state, where the SDK passes it on untouched. */
  entry(): [string, unknown] {
    return [KEY, this]
  }

  static of(context: ServerCallContext): CallState | undefined {
    const state = context.state.get(KEY)
    return state instanceof CallState ? state : undefined
  }
}
