/**
 * @module The beginning of a client's body, kept so that a workspace which refuses the first
 * credential can be sent it again with the second (ADR-0024).
 */

/** Most uploads are smaller, and a refusal comes before a body is read. */
const MAX_BYTES = 1024 * 1024
/** A longer body waits so long for a refusal before it goes on and cannot be sent again. */
const PATIENCE_MS = 500

export class RetainedBody {
  readonly patienceMs = PATIENCE_MS
  #pieces: Buffer[] | undefined = []
  #bytes = 0

  /** False once a piece has been let go: the body cannot be sent again. */
  get isWhole(): boolean {
    return this.#pieces !== undefined
  }

  /** Whether it has all that it should: nothing more may be taken without letting go. */
  get isFull(): boolean {
    return this.isWhole && this.#bytes >= MAX_BYTES
  }

  /** All that was taken; the body goes on after it. */
  get pieces(): readonly Buffer[] {
    return this.#pieces ?? []
  }

  /** False when it keeps nothing any more, and the piece is the caller's alone. */
  keep(piece: Buffer): boolean {
    if (this.#pieces === undefined) return false
    this.#pieces.push(piece)
    this.#bytes += piece.length
    return true
  }

  letGo(): void {
    this.#pieces = undefined
  }
}
