/** @module One job of the job-control host: its output in a file, and who waits for more of it. */
import { appendFileSync, closeSync, openSync, readSync, statSync, writeFileSync } from 'node:fs'
import type { TerminalEvent } from './pseudo-terminals.ts'

export class ShellctlJob {
  readonly id: string
  readonly outputPath: string
  readonly ended: Promise<void>
  exitCode: number | null = null
  pid = 0
  readonly #ended = Promise.withResolvers<void>()
  #onNews = Promise.withResolvers<void>()

  constructor(id: string, outputPath: string) {
    this.id = id
    this.outputPath = outputPath
    this.ended = this.#ended.promise
    writeFileSync(outputPath, '')
  }

  get isDone(): boolean {
    return this.exitCode !== null
  }

  get status(): string {
    return this.isDone ? 'exited' : 'running'
  }

  take(event: TerminalEvent): void {
    if (event.pid !== undefined) this.pid = event.pid
    if (event.output !== undefined) {
      appendFileSync(this.outputPath, Buffer.from(event.output, 'base64'))
    }
    if (event.exit !== undefined) {
      this.exitCode = event.exit
      this.#ended.resolve()
    }
    this.#onNews.resolve()
    this.#onNews = Promise.withResolvers()
  }

  /** A JobResult: at the end, at `timeout`, when a window is full, or when output has paused. */
  async wait(body: Record<string, unknown>): Promise<Record<string, unknown>> {
    const offset = Number(body['offset'])
    const limit = Math.min(Number(body['output_limit']), 1_048_576)
    const until = performance.now() + Number(body['timeout']) * 1000
    const idleMs = Number(body['idle_flush_seconds']) * 1000
    while (!this.isDone && this.#size() - offset < limit) {
      const leftMs = until - performance.now()
      if (leftMs <= 0) break
      const hasOutput = this.#size() > offset
      const isNews = await within(
        this.#onNews.promise,
        hasOutput ? Math.min(idleMs, leftMs) : leftMs,
      )
      if (!isNews) break
    }
    return this.#result(offset, limit)
  }

  #size(): number {
    return statSync(this.outputPath).size
  }

  #result(offset: number, limit: number): Record<string, unknown> {
    const window = Buffer.alloc(limit)
    const file = openSync(this.outputPath, 'r')
    const length = readSync(file, window, 0, limit, offset)
    closeSync(file)
    const next = offset + length
    return {
      job_id: this.id,
      done: this.isDone,
      status: this.status,
      exit_code: this.exitCode,
      output_path: this.outputPath,
      output: window.subarray(0, length).toString(),
      offset: next,
      truncated: next < this.#size(),
    }
  }
}

async function within(news: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  try {
    return await Promise.race([news.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
