/** @module What the agent is doing, for the heartbeat (contract/runtime 7.4, 22 #11). */

const MAX_SAMPLE_CHARACTERS = 500
const MAX_TASK_CHARACTERS = 200

export type WorkCounters = {
  readonly requests: number
  readonly errors: number
  readonly sampleError: string
  readonly activeTasks: number
  readonly currentTask: string
}

/** One turn being worked on; `end` exactly once, with the public text of the failure if it failed. */
export type WorkInProgress = { end(failure?: string): void }

/** Counts turns. `onChange` is called when one begins or ends, so that the platform can be told. */
export class WorkMeter {
  readonly #active = new Map<object, string>()
  readonly #onChange: () => void
  #requests = 0
  #errors = 0
  #sampleError = ''

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** `title` is what a person sees as the current task; only its first line is kept. */
  begin(title: string): WorkInProgress {
    const key = {}
    this.#active.set(key, firstLine(title, MAX_TASK_CHARACTERS))
    this.#onChange()
    return { end: (failure) => this.#end(key, failure) }
  }

  report(): WorkCounters {
    const titles = [...this.#active.values()]
    return {
      requests: this.#requests,
      errors: this.#errors,
      sampleError: this.#sampleError,
      activeTasks: titles.length,
      // The oldest: with one job at a time that is the one which runs, the others wait.
      currentTask: titles[0] ?? '',
    }
  }

  /** Takes back what has been told; what happened since then is told next time. */
  markReported(told: WorkCounters): void {
    this.#requests -= told.requests
    this.#errors -= told.errors
    if (this.#sampleError === told.sampleError) this.#sampleError = ''
  }

  #end(key: object, failure: string | undefined): void {
    if (!this.#active.delete(key)) return
    this.#requests += 1
    if (failure !== undefined) {
      this.#errors += 1
      this.#sampleError = firstLine(failure, MAX_SAMPLE_CHARACTERS)
    }
    this.#onChange()
  }
}

function firstLine(text: string, maxCharacters: number): string {
  const line = text.trimStart().split(/[\r\n]/, 1)[0] ?? ''
  return line.slice(0, maxCharacters).toWellFormed()
}
