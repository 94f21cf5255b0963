/**
 * @module Silence, noticed for thousands of streams by one timer: each stream is looked at once in
 * its time, and costs nothing while it is silent (contract/a2a 2.7).
 */

/** So long a stream says nothing before it says that it is still there. */
export const SILENCE_MS = 15_000
/** Slots of the wheel; each is looked at once in a turn. */
const SLOTS = 15

type Spoke = { spokenAt: number; slot: Set<Spoke>; readonly beat: () => void }

export type Pulse = {
  /** Something was said. */
  touch(): void
  close(): void
}

export class Heartbeats {
  readonly #now: () => number
  readonly #slots: readonly Set<Spoke>[] = Array.from({ length: SLOTS }, () => new Set<Spoke>())
  readonly #silenceMs: number
  #at = 0
  #count = 0
  #timer: NodeJS.Timeout | undefined

  constructor(now: () => number = () => performance.now(), silenceMs = SILENCE_MS) {
    this.#now = now
    this.#silenceMs = silenceMs
  }

  /** `beat` is called each time the stream has been silent for so long. */
  register(beat: () => void): Pulse {
    const spoke: Spoke = { spokenAt: this.#now(), slot: this.#slotIn(this.#silenceMs), beat }
    spoke.slot.add(spoke)
    this.#count += 1
    this.#timer ??= this.#start()
    return {
      touch: () => {
        spoke.spokenAt = this.#now()
      },
      close: () => {
        if (!spoke.slot.delete(spoke)) return
        this.#count -= 1
        if (this.#count === 0) this.#stop()
      },
    }
  }

  /** The next slot's turn. */
  tick(): void {
    this.#at = (this.#at + 1) % SLOTS
    const slot = this.#slots[this.#at] ?? new Set()
    for (const spoke of [...slot]) {
      const left = spoke.spokenAt + this.#silenceMs - this.#now()
      // A timer may be early by a moment; a beat a moment early is none too early.
      if (left <= this.#silenceMs / SLOTS / 2) {
        spoke.spokenAt = this.#now()
        spoke.beat()
      } else {
        slot.delete(spoke)
        spoke.slot = this.#slotIn(left)
        spoke.slot.add(spoke)
      }
    }
  }

  #slotIn(ms: number): Set<Spoke> {
    const steps = Math.min(SLOTS, Math.max(1, Math.round((ms / this.#silenceMs) * SLOTS)))
    return this.#slots[(this.#at + steps) % SLOTS] ?? new Set()
  }

  #start(): NodeJS.Timeout {
    const timer = setInterval(() => this.tick(), this.#silenceMs / SLOTS)
    timer.unref()
    return timer
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
