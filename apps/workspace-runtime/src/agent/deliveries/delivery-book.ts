/** @module The deliveries that the agent was given, on disk: which were begun and what came of them. */
import type { Clock } from '@atrium/http-kit/clock'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import type { Logger } from 'pino'
import type { RecordFolder } from '../records/record-folder.ts'
import { type DeliveryRecord, deliveryText, parseDelivery, recordName } from './delivery-record.ts'

export type DeliveryBookDeps = {
  readonly folder: RecordFolder
  readonly limits: {
    readonly maxRecords: number
    readonly maxBytes: number
    readonly maxAgeMs: number
    /** An answer that is longer is not kept; that there was one is. */
    readonly maxOutcomeBytes: number
  }
  readonly log: Logger
  readonly clock: Pick<Clock, 'now'>
}

type Entry = { readonly bytes: number; readonly begunAtMs: number }

export class DeliveryBook {
  readonly #deps: DeliveryBookDeps
  /** By the name of the record, oldest first. What was answered stays on the disk. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(deps: DeliveryBookDeps) {
    this.#deps = deps
  }

  /** Whether deliveries can be known again at all. */
  get isUsable(): boolean {
    return this.#deps.folder.isUsable
  }

  /** Reads what the last run has left and yields what it had begun and never ended. Never throws. */
  async open(): Promise<readonly DeliveryRecord[]> {
    const found: { readonly name: string; readonly entry: Entry }[] = []
    const interrupted: DeliveryRecord[] = []
    for await (const { name, text, bytes } of this.#deps.folder.open()) {
      const delivery = parseDelivery(name, text)
      if (delivery === undefined) {
        await this.#deps.folder.setAside(name, 'not a delivery')
        continue
      }
      found.push({ name, entry: { bytes, begunAtMs: Date.parse(delivery.begunAt) } })
      // It has no answer yet, and all of these are in memory at once.
      if (!delivery.hasEnded) interrupted.push({ ...delivery, outcome: undefined })
    }
    found.sort((a, b) => a.entry.begunAtMs - b.entry.begunAtMs)
    for (const { name, entry } of found) this.#note(name, entry)
    this.#forgetOldest()
    return interrupted
  }

  /** What is known of a delivery; undefined when it never came here, or long ago. */
  async find(deliveryId: string): Promise<DeliveryRecord | undefined> {
    const name = recordName(deliveryId)
    if (!this.#entries.has(name)) return undefined
    const text = await this.#deps.folder.read(name)
    return text === undefined ? undefined : parseDelivery(name, text)
  }

  /**
   * To be called before anything is done for it; on the disk when it resolves. Throws the system's
   * error: it could not be known again then, and must not be begun.
   */
  async begin(delivery: DeliveryRecord): Promise<void> {
    try {
      await this.#write(delivery, true)
    } catch (error) {
      // The platform is told that the agent is busy: who looks for the reason finds it here.
      const { deliveryId } = delivery
      this.#deps.log.error(
        { delivery_id: deliveryId, reason: errorCodeOf(error) },
        'deliveries.not_begun',
      )
      throw error
    }
    this.#forgetOldest()
  }

  /** Best effort: without it the delivery counts as interrupted after a restart. */
  async end(delivery: DeliveryRecord): Promise<void> {
    const isTooLong =
      JSON.stringify(delivery.outcome ?? {}).length > this.#deps.limits.maxOutcomeBytes
    try {
      await this.#write(isTooLong ? { ...delivery, outcome: undefined } : delivery, false)
    } catch (error) {
      if (errorCodeOf(error) === undefined) throw error
      const { deliveryId } = delivery
      this.#deps.log.warn(
        { delivery_id: deliveryId, reason: errorCodeOf(error) },
        'deliveries.not_kept',
      )
    }
  }

  async #write(delivery: DeliveryRecord, isDurable: boolean): Promise<void> {
    const name = recordName(delivery.deliveryId)
    const text = deliveryText(delivery)
    await this.#deps.folder.write(name, text, isDurable)
    this.#note(name, { bytes: Buffer.byteLength(text), begunAtMs: Date.parse(delivery.begunAt) })
  }

  #note(name: string, entry: Entry): void {
    this.#bytes += entry.bytes - (this.#entries.get(name)?.bytes ?? 0)
    this.#entries.set(name, entry)
  }

  #forgetOldest(): void {
    const { maxRecords, maxBytes, maxAgeMs } = this.#deps.limits
    const oldestMs = this.#deps.clock.now().getTime() - maxAgeMs
    for (const [name, { bytes, begunAtMs }] of this.#entries) {
      const isOver = this.#entries.size > maxRecords || this.#bytes > maxBytes
      if (!isOver && begunAtMs >= oldestMs) return
      this.#entries.delete(name)
      this.#bytes -= bytes
      // Never rejects.
      void this.#deps.folder.remove(name)
    }
  }
}
