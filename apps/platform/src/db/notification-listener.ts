/**
 * @module What the database notifies of, on one connection that comes back when it is lost. The
 * driver's own `listen` asks again for every channel at each attempt that fails and answers one of
 * them a second: what is asked of it in an outage waits as long again as the outage lasted, and
 * whoever asks twice is told everything twice (postgres 3.4.9).
 */
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import postgres from 'postgres'

export type NotificationHandlers = {
  readonly payload: (payload: string) => void
  /** Each time it listens (again): something may have been missed. */
  readonly listening: () => void
  /** Once per outage, the first attempt included; it listens again by itself. */
  readonly failed: (error: unknown) => void
}

const RETRY_MS = 1_000
const CONNECT_TIMEOUT_SECONDS = 10

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
      ...{ max: 1, connect_timeout: CONNECT_TIMEOUT_SECONDS, fetch_types: false },
      // How long to wait is said here, and only a loss ends the connection.
      ...{ backoff: () => 0, idle_timeout: 0, max_lifetime: null },
      onnotice: () => undefined,
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

  /** Ends the connection at once; nobody is called any more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#change.resolve('lost')
    await this.#sql.end({ timeout: 0 })
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let isFailing = false
    while (!signal.aborted) {
      this.#change = Promise.withResolvers()
      try {
        await this.#askForAll()
        isFailing = false
        this.#tell((handlers) => handlers.listening())
      } catch (error) {
        if (!isFailing) this.#tell((handlers) => handlers.failed(error))
        isFailing = true
        this.#change.resolve('lost')
      }
      if ((await this.#change.promise) === 'channels') continue
      // Aborted at the end, which the loop looks at.
      await this.#clock.sleep(RETRY_MS, signal).catch(() => undefined)
    }
  }

  async #askForAll(): Promise<void> {
    const names = [...this.#handlers.keys()]
    const commands = names.map((name) => `LISTEN "${name.replaceAll('"', '""')}"`)
    await this.#sql.unsafe(commands.join(';'))
  }

  #tell(say: (handlers: NotificationHandlers) => void): void {
    if (this.#stopping.signal.aborted) return
    for (const handlers of [...this.#handlers.values()].flat()) say(handlers)
  }

  #deliver(channel: string, payload: string): void {
    if (this.#stopping.signal.aborted) return
    for (const handlers of this.#handlers.get(channel) ?? []) handlers.payload(payload)
  }
}
