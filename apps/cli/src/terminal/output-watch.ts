/** @module Standard output that cannot be written any more ends the command, the usual way out. */
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { CliFailure, EXIT, reasonOf } from '../failure.ts'
import type { OutputStream } from './terminal.ts'

export class OutputWatch {
  /** Aborted when a write has failed: there is no sense in fetching more. */
  readonly signal: AbortSignal
  readonly #stream: OutputStream
  #failure: CliFailure | undefined

  constructor(stream: OutputStream) {
    const broken = new AbortController()
    this.signal = broken.signal
    this.#stream = stream
    stream.on('error', (error) => {
      this.#failure ??= outputFailure(error)
      broken.abort()
    })
  }

  /** Why the output could not be written, if that has happened. */
  get failure(): CliFailure | undefined {
    return this.#failure
  }

  /** Resolves when everything written so far is out, or has failed. */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stream.write('', () => resolve())
    })
  }
}

/** `atrium ... | head`: nobody is left to read the rest, which is not an error and needs no words. */
function outputFailure(error: Error): CliFailure {
  if (hasErrorCode(error, 'EPIPE')) return new CliFailure(EXIT.outputClosed, '')
  const facts = { cause: error }
  return new CliFailure(EXIT.failed, `cannot write the output: ${reasonOf(error)}`, facts)
}
