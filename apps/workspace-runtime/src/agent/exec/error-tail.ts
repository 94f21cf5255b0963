/** @module The standard error of a command: hostile text, bounded, for the log and for a failure. */
import { StringDecoder } from 'node:string_decoder'
import type { Logger } from 'pino'

const MAX_LINE_CHARACTERS = 2_000
const MAX_LOGGED_LINES = 200
const TAIL_LINES = 10
const MAX_TAIL_CHARACTERS = 2_000

// C0 without the line break, DEL and C1: what a terminal would obey.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g

/** Logs line by line, up to a limit, and remembers the last ones. */
export class ErrorTail {
  readonly #log: Logger
  readonly #decoder = new StringDecoder('utf8')
  readonly #tail: string[] = []
  #line = ''
  #lines = 0

  constructor(log: Logger) {
    this.#log = log
  }

  write(bytes: Buffer): void {
    const lines = (this.#line + this.#decoder.write(bytes)).split('\n')
    // A line without an end is cut, not collected.
    this.#line = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS)
    for (const line of lines) this.#take(line)
  }

  end(): void {
    if (this.#line !== '') this.#take(this.#line)
    this.#line = ''
  }

  /** The last lines, without control characters; empty when there were none. */
  get text(): string {
    return this.#tail.join('\n').slice(-MAX_TAIL_CHARACTERS).toWellFormed()
  }

  #take(raw: string): void {
    const line = raw.slice(0, MAX_LINE_CHARACTERS).replace(CONTROLS, '')
    this.#lines += 1
    if (this.#lines <= MAX_LOGGED_LINES) this.#log.info({ line }, 'exec.stderr')
    if (this.#lines === MAX_LOGGED_LINES + 1) this.#log.warn('exec.stderr_not_logged_further')
    if (line.trim() === '') return
    this.#tail.push(line)
    if (this.#tail.length > TAIL_LINES) this.#tail.shift()
  }
}
