/** @module What the endpoint hands to the executor together with a call. */
import type { ServerCallContext } from '@a2a-js/sdk/server'
import type { Ticket } from '../work-queue.ts'
import type { DeliveryClaim, StorageLack, TurnFacts } from './deliveries/delivery-claim.ts'

const KEY = 'atrium.call'

export class CallState {
  readonly isStreaming: boolean
  readonly #ticket: Ticket
  readonly #claim: DeliveryClaim | undefined
  #isTaken = false
  #lack: StorageLack | undefined

  constructor(call: {
    readonly isStreaming: boolean
    readonly ticket: Ticket
    readonly claim: DeliveryClaim | undefined
  }) {
    this.isStreaming = call.isStreaming
    this.#ticket = call.ticket
    this.#claim = call.claim
  }

  /** The executor could not begin: whatever the SDK answers, nothing was accepted. */
  get lack(): StorageLack | undefined {
    return this.#lack
  }

  /** Before anything is done. False: this must not be begun. */
  async begin(turn: TurnFacts): Promise<boolean> {
    this.#lack = await this.#claim?.begin(turn)
    return this.#lack === undefined
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
