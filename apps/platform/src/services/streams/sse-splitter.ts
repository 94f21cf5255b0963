/**
 * @module Server-sent events out of the pieces of a body (HTML standard, 9.2.6): what an event says,
 * as it came. Lines of data are joined into one, which the JSON in them does not mind: an SDK of 0.3
 * cannot read two (contract/a2a 2.7).
 */
import { AppError } from '@atrium/http-kit/app-error'

/** What the official clients take at most (contract/a2a 2.7). */
export const MAX_EVENT_BYTES = 4 * 1024 * 1024

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DATA = Buffer.from('data')
const COLON = 0x3a
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

export class SseSplitter {
  readonly #maxEventBytes: number
  /** Of a line that is not complete. */
  #rest: Buffer[] = []
  #restBytes = 0
  #data: Buffer[] = []
  #dataBytes = 0
  #skipsLineFeed = false
  #isFirstLine = true

  constructor(maxEventBytes = MAX_EVENT_BYTES) {
    this.#maxEventBytes = maxEventBytes
  }

  /**
   * The data of every event that is complete with this piece. Throws `workspace_invalid_response`
   * for one that is longer than an event may be.
   */
  push(piece: Buffer): Buffer[] {
    const events: Buffer[] = []
    let at = this.#skipsLineFeed && piece[0] === LF ? 1 : 0
    if (piece.length > 0) this.#skipsLineFeed = false
    for (let end = endOfLine(piece, at); end !== -1; end = endOfLine(piece, at)) {
      const event = this.#line(this.#completed(piece.subarray(at, end)))
      if (event !== undefined) events.push(event)
      at = this.#behind(piece, end)
    }
    this.#keep(piece.subarray(at))
    return events
  }

  /** Where the next line begins: a carriage return may have its line feed in the next piece. */
  #behind(piece: Buffer, end: number): number {
    if (piece[end] !== CR) return end + 1
    this.#skipsLineFeed = end + 1 === piece.length
    return piece[end + 1] === LF ? end + 2 : end + 1
  }

  #completed(tail: Buffer): Buffer {
    if (this.#rest.length === 0) return tail
    const line = Buffer.concat([...this.#rest, tail])
    this.#rest = []
    this.#restBytes = 0
    return line
  }

  #keep(rest: Buffer): void {
    if (rest.length === 0) return
    this.#restBytes += rest.length
    this.#assertBounded()
    this.#rest.push(rest)
  }

  /** The event that ends with this line. */
  #line(given: Buffer): Buffer | undefined {
    const line = this.#isFirstLine ? withoutMark(given) : given
    this.#isFirstLine = false
    if (line.length === 0) return this.#dispatch()
    const value = dataOf(line)
    if (value === undefined) return undefined
    this.#data.push(value)
    this.#dataBytes += value.length
    this.#assertBounded()
    return undefined
  }

  #dispatch(): Buffer | undefined {
    const lines = this.#data
    this.#data = []
    this.#dataBytes = 0
    const [only, ...others] = lines
    if (only === undefined) return undefined
    const event = others.length === 0 ? only : Buffer.concat(lines)
    return event.length === 0 ? undefined : event
  }

  #assertBounded(): void {
    if (this.#restBytes + this.#dataBytes <= this.#maxEventBytes) return
    throw new AppError('workspace_invalid_response', { internal: 'an event is too long' })
  }
}

/** A piece is searched twice at most, for either end of a line. */
function endOfLine(piece: Buffer, from: number): number {
  const lf = piece.indexOf(LF, from)
  const cr = piece.subarray(from, lf === -1 ? piece.length : lf).indexOf(CR)
  return cr === -1 ? lf : from + cr
}

function withoutMark(line: Buffer): Buffer {
  return line.subarray(0, 3).equals(BYTE_ORDER_MARK) ? line.subarray(3) : line
}

/** What the line adds to the event; undefined for every other field, and for a comment. */
function dataOf(line: Buffer): Buffer | undefined {
  if (!line.subarray(0, DATA.length).equals(DATA)) return undefined
  if (line.length === DATA.length) return Buffer.alloc(0)
  if (line[DATA.length] !== COLON) return undefined
  return line.subarray(line[DATA.length + 1] === SPACE ? DATA.length + 2 : DATA.length + 1)
}
