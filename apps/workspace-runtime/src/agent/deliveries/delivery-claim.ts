/** @module The right to do one delivery, from the endpoint that judged it to the executor that does it. */
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { isStorageFull } from '../../files/storage-failure.ts'
import type { DeliveryBook } from './delivery-book.ts'
import type { DeliveryRecord } from './delivery-record.ts'

/** Why nothing can be begun; the platform knows these words. */
export type StorageLack = 'insufficient_storage' | 'storage_failed'

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

  /** Undefined: the work may begin. Otherwise that could not be written down, and it must not. */
  async begin(turn: TurnFacts): Promise<StorageLack | undefined> {
    const { deliveryId, method, book, now } = this.#input
    const begunAt = now().toISOString()
    const fields = { deliveryId, method, begunAt, hasEnded: false, outcome: undefined }
    const delivery: DeliveryRecord = { ...fields, ...turn }
    try {
      await book.begin(delivery)
    } catch (error) {
      if (errorCodeOf(error) === undefined) throw error
      return isStorageFull(error) ? 'insufficient_storage' : 'storage_failed'
    }
    this.#delivery = delivery
    return undefined
  }

  /** Nothing is noted of what never began. */
  async end(outcome: DeliveryRecord['outcome']): Promise<void> {
    if (this.#delivery === undefined) return
    await this.#input.book.end({ ...this.#delivery, hasEnded: true, outcome })
  }
}
