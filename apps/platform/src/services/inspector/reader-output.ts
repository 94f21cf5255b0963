/**
 * @module What the reader of a job-control host wrote, window by window: one blob of base64 between
 * two markers, in whatever else a terminal shows (contract/runtime 20.4).
 */
import { AppError } from '@atrium/http-kit/app-error'

// The contract's (20.1). In the reader they stand in pieces, so that its own text holds neither.
const BEGIN = '<<<DIFY_FS_BEGIN>>>'
const END = '<<<DIFY_FS_END>>>'

/** contract/runtime 20.4 */
const MAX_TAIL_CHARACTERS = 200

/** The reader's words, and the bytes behind them. */
export type ReaderBlob = {
  readonly answer: Readonly<Record<string, unknown>>
  readonly payload: Buffer
}

export class ReaderOutput {
  #state: 'before' | 'inside' | 'complete' = 'before'
  /** The end of what came, as long as a marker may have begun in it. */
  #pending = ''
  readonly #pieces: string[] = []
  readonly #maxCharacters: number
  #characters = 0
  #tail = ''

  constructor(maxBytes: number) {
    this.#maxCharacters = 4 * Math.ceil(maxBytes / 3)
  }

  get isComplete(): boolean {
    return this.#state === 'complete'
  }

  /** The next window. Throws `reader_failed` when there is more than any answer has. */
  take(output: string): void {
    this.#tail = `${this.#tail}${output}`.slice(-MAX_TAIL_CHARACTERS)
    if (this.#state === 'complete') return
    let text = `${this.#pending}${output}`
    if (this.#state === 'before') {
      const begin = text.indexOf(BEGIN)
      if (begin < 0) {
        this.#pending = text.slice(-BEGIN.length)
        return
      }
      this.#state = 'inside'
      text = text.slice(begin + BEGIN.length)
    }
    const end = text.indexOf(END)
    if (end >= 0) this.#state = 'complete'
    const known = end >= 0 ? end : Math.max(0, text.length - END.length)
    this.#pending = text.slice(known)
    this.#add(text.slice(0, known).replace(/\s+/g, ''))
  }

  /** Throws `reader_failed` without a whole blob, or when it is not what the reader makes. */
  blob(): ReaderBlob {
    if (!this.isComplete) throw this.#failed('no answer')
    const text = this.#pieces.join('')
    // Node's decoder skips over what is no base64.
    if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
      throw this.#failed('no base64')
    const bytes = Buffer.from(text, 'base64')
    const line = bytes.indexOf('\n')
    const answer = line < 0 ? undefined : parsed(bytes.toString('utf8', 0, line))
    if (!isRecord(answer)) throw this.#failed('no object')
    return { answer, payload: bytes.subarray(line + 1) }
  }

  #add(piece: string): void {
    this.#characters += piece.length
    if (this.#characters > this.#maxCharacters) throw this.#failed('too much')
    this.#pieces.push(piece)
  }

  #failed(internal: string): AppError {
    return readerFailed(internal, this.#tail)
  }
}

/** `output` is the end of what the host's terminal showed: python3 may be missing there. */
export function readerFailed(internal: string, output = ''): AppError {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would be obeyed by a terminal.
  const shown = output.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
  const message = `the reader of the job-control host failed${shown === '' ? '' : `: ${shown}`}`
  return new AppError('reader_failed', { message, internal })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not a swallowed failure: the caller refuses what is no object.
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
