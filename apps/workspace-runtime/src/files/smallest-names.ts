/** @module The first names of a folder in the order of their bytes, whatever the order they come in. */
import type { ByteName } from './descriptor.ts'

/**
 * Keeps the `keep` smallest of the names behind `after` that it is offered: a heap with the largest
 * of them on top, so that of a million names nearly all are turned away by one comparison.
 */
export class SmallestNames {
  readonly #keep: number
  readonly #after: ByteName
  readonly #heap: ByteName[] = []
  #hasMore = false

  /** `after`: empty for the beginning; no name is. */
  constructor(keep: number, after: ByteName) {
    this.#keep = keep
    this.#after = after
  }

  /** Whether a name was offered behind `after` that is not among those kept. */
  get hasMore(): boolean {
    return this.#hasMore
  }

  offer(name: ByteName): void {
    if (name <= this.#after) return
    if (this.#heap.length < this.#keep) {
      this.#rise(name)
      return
    }
    this.#hasMore = true
    const [largest] = this.#heap
    if (largest !== undefined && name < largest) this.#sink(name)
  }

  /** The names in order, each of them once. */
  sorted(): ByteName[] {
    const names = this.#heap.toSorted((one, other) => (one < other ? -1 : 1))
    // A name that was renamed and back while it was read may come twice.
    return names.filter((name, index) => name !== names[index - 1])
  }

  /** Adds a name below everything that is smaller. */
  #rise(name: ByteName): void {
    const heap = this.#heap
    let place = heap.push(name) - 1
    while (place > 0) {
      const above = (place - 1) >> 1
      const other = heap[above]
      if (other === undefined || other >= name) break
      heap[place] = other
      place = above
    }
    heap[place] = name
  }

  /** Puts a name in the place of the largest. */
  #sink(name: ByteName): void {
    const heap = this.#heap
    let place = 0
    for (;;) {
      const below = this.#largerBelow(place)
      const other = heap[below]
      if (other === undefined || other <= name) break
      heap[place] = other
      place = below
    }
    heap[place] = name
  }

  #largerBelow(place: number): number {
    const [left, right] = [2 * place + 1, 2 * place + 2]
    const [some, other] = [this.#heap[left], this.#heap[right]]
    return some !== undefined && other !== undefined && other > some ? right : left
  }
}
