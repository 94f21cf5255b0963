/** @module The right to do one delivery, from the endpoint that judged it to the executor that does it. */
import { errorCodeOf } from '@atrium/http-kit/error-code'
import type { DeliveryBook } from './delivery-book.ts'
import type { DeliveryRecord } from './delivery-record.ts'

export type TurnFacts = Pick<DeliveryRecord, 'taskId' | 'contextId' | 'hasTask'>

export class DeliveryClaim {
  readonly #input: {
    readonly deliveryId: string
    readonly method: string
    readonly book: DeliveryBook
    readonly now: () => Date
  }
  #delivery: DeliveryRecord | undefined

  constructor(input: {
    readonly deliveryId: string
    readonly method: string
    readonly book: DeliveryBook
    readonly now: () => Date
  }) {
    this.#input = input
  }

  /** Undefined before the work has begun. */
  get delivery(): DeliveryRecord | undefined {
    return this.#delivery
  }

  /** Whether the work may begin: not when that cannot be written down. */
  async begin(turn: TurnFacts): Promise<boolean> {
    const { deliveryId, method, book, now } = this.#input
    const begunAt = now().toISOString()
    const fields = { deliveryId, method, begunAt, hasEnded: false, outcome: undefined }
    const delivery: DeliveryRecord = { ...fields, ...turn }
    try {
      await book.begin(delivery)
    } catch (error) {
      if (errorCodeOf(error) === undefined) throw error
      return false
    }
    this.#delivery = delivery
    return true
  }

  /** Nothing is noted of what never began. */
  async end(outcome: DeliveryRecord['outcome']): Promise<void> {
    if (this.#delivery === undefined) return
    await this.#input.book.end({ ...this.#delivery, hasEnded: true, outcome })
  }
}
