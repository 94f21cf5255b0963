/** @module Real processes of `sh`, each in a pseudo-terminal, by the pty module of Python. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'

export type TerminalJob = {
  readonly id: string
  readonly script: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly cols: number
  readonly rows: number
}

export type TerminalEvent = {
  readonly id: string
  readonly pid?: number
  /** In base64. */
  readonly output?: string
  readonly exit?: number
}

export class PseudoTerminals {
  readonly #child: ChildProcess

  constructor(python: string, onEvent: (event: TerminalEvent) => void) {
    const program = new URL('./pseudo-terminals.py', import.meta.url).pathname
    this.#child = spawn(python, ['-I', program], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#child.stdout === null) throw new Error('no pipe')
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      onEvent(JSON.parse(line) as TerminalEvent)
    })
  }

  run(job: TerminalJob): void {
    this.#tell(job)
  }

  /** The job with everything in its terminal. */
  kill(id: string): void {
    this.#tell({ kill: id })
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
  }

  #tell(command: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
  }
}

/**
 * The program behind `python3`, which may be a slow script that looks for it. Says why when there is
 * none: a suite that is skipped is seen. With `ATRIUM_REQUIRE_ENGINES=1` that is a failure.
 */
export function findPython(): string | undefined {
  const args = ['-I', '-c', 'import sys; print(sys.executable)']
  const probe = spawnSync('python3', args, { encoding: 'utf8' })
  if (probe.status === 0) return probe.stdout.trim()
  const reason = probe.error?.message ?? probe.stderr.trim()
  if (process.env['ATRIUM_REQUIRE_ENGINES'] === '1') {
    throw new Error(`python3 is required and does not work: ${reason}`)
  }
  process.stderr.write(`skipped: python3 does not work here: ${reason}\n`)
  return undefined
}
