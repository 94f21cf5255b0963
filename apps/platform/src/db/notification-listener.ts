/**
 * @module What the database notifies of, on one connection that comes back when it is lost. The
 * driver's own `listen` asks again for every channel at each attempt that fails and answers one of
 * them a second: what is asked of it in an outage waits as long again as the outage lasted, and
 * whoever asks twice is told everything twice (postgres 3.4.9).
 */
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import postgres from 'postgres'
import { driverOptions } from './driver-options.ts'

export type NotificationHandlers = {
  readonly payload: (payload: string) => void
  /** Each time it listens (again): something may have been missed. */
  readonly listening: () => void
  /** Once per outage, the first attempt included; it listens again by itself. */
  readonly failed: (error: unknown) => void
}

const RETRY_MS = 1_000

/** Why the listener looks at its connection again. */
type Change = 'lost' | 'channels'

export class NotificationListener {
  readonly #sql: postgres.Sql
  readonly #clock: Clock
  readonly #handlers = new Map<string, NotificationHandlers[]>()
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #change = Promise.withResolvers<Change>()

  constructor(url: string, clock: Clock = systemClock) {
    this.#clock = clock
    const options = {
      ...driverOptions(url, this.#stopping.signal),
      // How long to wait is said here, and only a loss ends the connection.
      ...{ max: 1, backoff: () => 0, idle_timeout: 0, max_lifetime: null },
      onclose: () => this.#change.resolve('lost'),
      // What the driver's own `listen` is made of; its types do not tell of it.
      onnotify: (channel: string, payload: string) => this.#deliver(channel, payload),
    }
    this.#sql = postgres(url, options)
  }

  /** Calls `handlers` from now on until the end; returns at once and never throws. */
  listen(channel: string, handlers: NotificationHandlers): void {
    this.#handlers.set(channel, [...(this.#handlers.get(channel) ?? []), handlers])
    this.#change.resolve('channels')
    this.#running ??= this.#run()
  }

  /** Ends the connection at once. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#change.resolve('lost')
    await this.#sql.end({ timeout: 0 })
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let wasListening = true
    while (!signal.aborted) {
      this.#change = Promise.withResolvers()
      const failure = await this.#askForAll()
      if (failure === undefined) this.#tell((handlers) => handlers.listening())
      else if (wasListening) this.#tell((handlers) => handlers.failed(failure.error))
      wasListening = failure === undefined
      if (wasListening && (await this.#change.promise) === 'channels') continue
      // Aborted at the end, which the loop looks at.
      await this.#clock.sleep(RETRY_MS, signal).catch(() => undefined)
    }
  }

  /** Asks for every channel at once; resolves with why that failed. */
  async #askForAll(): Promise<{ readonly error: unknown } | undefined> {
    const names = [...this.#handlers.keys()]
    const commands = names.map((name) => `LISTEN "${name.replaceAll('"', '""')}"`)
    try {
      await this.#sql.unsafe(commands.join(';'))
      return undefined
    } catch (error) {
      return { error }
    }
  }

  #tell(say: (handlers: NotificationHandlers) => void): void {
    if (this.#stopping.signal.aborted) return
    for (const handlers of [...this.#handlers.values()].flat()) say(handlers)
  }

  #deliver(channel: string, payload: string): void {
    for (const handlers of this.#handlers.get(channel) ?? []) handlers.payload(payload)
  }
}
