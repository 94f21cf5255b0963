/**
 * @module Does each delivery once (ADR-0032, docs/adr/0039): whoever brings the same one again, at the
 * same time, later or after a restart, gets what came of the first.
 */
import type { A2aAnswer } from '../a2a-answer.ts'
import type { SdkCall } from '../sdk-dispatch.ts'
import { firstOutcome, outcomeOf } from './answer-outcome.ts'
import type { DeliveryBook } from './delivery-book.ts'
import { DeliveryClaim } from './delivery-claim.ts'
import type { DeliveryRecord } from './delivery-record.ts'
import type { DeliveryReplay } from './delivery-replay.ts'

export type JudgedCall = Omit<SdkCall, 'state'>

export type DeliveryDeskDeps = {
  readonly book: DeliveryBook
  readonly replay: DeliveryReplay
  readonly now: () => Date
}

type Running = {
  readonly claim: DeliveryClaim
  /** The first event of a stream is out, so that its task can be followed; or it has ended. */
  readonly opened: Promise<void>
}

export class DeliveryDesk {
  readonly #deps: DeliveryDeskDeps
  readonly #running = new Map<string, Running>()

  constructor(deps: DeliveryDeskDeps) {
    this.#deps = deps
  }

  /** Does `work` unless it was done; undefined `deliveryId`: it cannot be known again. */
  async answer(
    deliveryId: string | undefined,
    call: JudgedCall,
    work: (claim: DeliveryClaim | undefined) => Promise<A2aAnswer>,
  ): Promise<A2aAnswer> {
    const { book, replay } = this.#deps
    if (deliveryId === undefined || !book.isUsable) return work(undefined)
    for (;;) {
      const other = this.#running.get(deliveryId)
      if (other === undefined) break
      await other.opened
      const { delivery } = other.claim
      if (delivery !== undefined) return replay.answer(await this.#latest(delivery), call)
    }
    return this.#runAlone(deliveryId, call, work)
  }

  async #runAlone(
    deliveryId: string,
    call: JudgedCall,
    work: (claim: DeliveryClaim) => Promise<A2aAnswer>,
  ): Promise<A2aAnswer> {
    const { book, replay } = this.#deps
    const claim = new DeliveryClaim({ deliveryId, method: call.request.method, ...this.#deps })
    const { promise, resolve } = Promise.withResolvers<void>()
    // At once: between looking and this nobody else may come.
    this.#running.set(deliveryId, { claim, opened: promise })
    const settle = (): void => {
      this.#running.delete(deliveryId)
      resolve()
    }
    try {
      const known = await book.find(deliveryId)
      if (known !== undefined) {
        settle()
        return await replay.answer(known, call)
      }
      const answer = await work(claim)
      if (answer.kind === 'stream' && claim.delivery !== undefined) {
        resolve()
        return { ...answer, envelopes: endingWith(answer, claim, settle) }
      }
      if (answer.kind === 'json' && claim.delivery !== undefined) {
        await claim.end(outcomeOf(answer.body))
      }
      settle()
      return answer
    } catch (error) {
      settle()
      throw error
    }
  }

  async #latest(delivery: DeliveryRecord): Promise<DeliveryRecord> {
    return (await this.#deps.book.find(delivery.deliveryId)) ?? delivery
  }
}

/** The same events; the delivery has ended when they have. */
async function* endingWith(
  answer: Extract<A2aAnswer, { readonly kind: 'stream' }>,
  claim: DeliveryClaim,
  settle: () => void,
): AsyncGenerator<string, void, undefined> {
  let outcome: DeliveryRecord['outcome']
  try {
    for await (const envelope of answer.envelopes) {
      outcome ??= firstOutcome(envelope)
      yield envelope
    }
  } finally {
    await claim.end(outcome)
    settle()
  }
}
