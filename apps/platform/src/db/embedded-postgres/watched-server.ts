/** @module A server that is started again when it dies, at the same address, until it keeps dying. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { RestartBudget } from '../../domain/restart-budget.ts'
import type { ServerProcess } from './server-process.ts'

const NAME = 'database'

export type WatchOptions = {
  readonly log: Logger
  readonly clock: Clock
  /** Where the server says why it ended. */
  readonly logFile: string
  /** Starts it on that port and resolves when it answers; leaves nothing behind when it rejects. */
  readonly restart: (port: number, signal: AbortSignal) => Promise<ServerProcess>
  /** Called once, when it has died too often to be started again. */
  readonly onLost: (reason: string) => void
}

export class WatchedServer {
  readonly #options: WatchOptions
  readonly #budget = new RestartBudget()
  readonly #stopping = new AbortController()
  readonly #watching: Promise<void>
  #server: ServerProcess
  #restarting: Promise<boolean> = Promise.resolve(true)

  constructor(options: WatchOptions, server: ServerProcess) {
    this.#options = options
    this.#server = server
    this.#watching = this.#watch()
  }

  /** Ends a restart in progress and the server, in bounded time. May be called again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the embedded database is being stopped'))
    await this.#restarting
    await this.#server.stop()
    await this.#watching
  }

  async #watch(): Promise<void> {
    for (;;) {
      const reason = await this.#server.exited
      if (this.#stopping.signal.aborted) return
      this.#restarting = this.#comeBack(reason)
      if (!(await this.#restarting)) return
    }
  }

  /** Resolves true when the server answers again. */
  async #comeBack(reason: string): Promise<boolean> {
    const { log, clock, logFile, onLost } = this.#options
    for (;;) {
      const verdict = this.#budget.note(NAME, clock.now().getTime())
      log.error({ reason, log_file: logFile, verdict: verdict.kind }, 'database.ended')
      if (verdict.kind === 'give_up') {
        onLost(
          `the embedded database ended ${verdict.deaths} times within 10 minutes, last with ${reason}; see ${logFile}`,
        )
        return false
      }
      try {
        await clock.sleep(verdict.delayMs, this.#stopping.signal)
        this.#server = await this.#options.restart(this.#server.port, this.#stopping.signal)
        log.warn({ port: this.#server.port, pid: this.#server.pid }, 'database.restarted')
        return true
      } catch (error) {
        if (this.#stopping.signal.aborted) return false
        // Counts like a death: the next round waits longer, and the last one gives up.
        log.error({ err: error }, 'database.restart_failed')
      }
    }
  }
}
