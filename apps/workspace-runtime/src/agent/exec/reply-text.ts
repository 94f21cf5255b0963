/** @module The standard output of a command as the text of a reply. */
import { StringDecoder } from 'node:string_decoder'

const MAX_BYTES = 1024 * 1024
const FLUSH_AT_CHARACTERS = 16 * 1024
const FLUSH_AFTER_MS = 100
/**
 * Every piece becomes a part of the task, and the SDK copies the whole task for each: a command that
 * says something all the time is reported the more seldom the longer it talks (2000 pieces an hour).
 */
const LATER_BY_MS = 2
const TRUNCATED = '\n[the output was longer than 1 MiB and was cut here]'

/**
 * Decodes, joins small pieces so that a talkative command does not make an event of every line, and
 * drops line breaks at the end as a shell's `$(...)` does.
 */
export class ReplyText {
  readonly #emit: (piece: string) => void
  readonly #decoder = new StringDecoder('utf8')
  #pending = ''
  #bytes = 0
  #pieces = 0
  #timer: NodeJS.Timeout | undefined

  constructor(emit: (piece: string) => void) {
    this.#emit = emit
  }

  write(bytes: Buffer): void {
    const room = MAX_BYTES - this.#bytes
    this.#bytes += bytes.length
    if (room <= 0) return
    this.#pending += this.#decoder.write(bytes.subarray(0, room))
    if (this.#pending.length >= FLUSH_AT_CHARACTERS) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), this.#patienceMs)
  }

  get #patienceMs(): number {
    return Math.max(FLUSH_AFTER_MS, this.#pieces * LATER_BY_MS)
  }

  /** Says the rest. Nothing is emitted afterwards. */
  end(): void {
    this.#pending += this.#decoder.end()
    this.#flush()
    if (this.#bytes > MAX_BYTES) this.#emit(TRUNCATED)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const end = endWithoutLineBreaks(this.#pending)
    if (end > 0) {
      this.#pieces += 1
      this.#emit(this.#pending.slice(0, end))
    }
    // Line breaks wait for what follows them; at the end nothing does.
    this.#pending = this.#pending.slice(end)
  }
}

function endWithoutLineBreaks(text: string): number {
  let end = text.length
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end -= 1
  return end
}
