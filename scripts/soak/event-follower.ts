/** @module Follows every event through whatever dies, and remembers the places it was told. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PlatformApi } from './platform-api.ts'

const RETRY_MS = 200

export class EventFollower {
  readonly #api: PlatformApi
  readonly #leaving = new AbortController()
  readonly seen: number[] = []
  resumed = 0
  resets = 0
  #lastId: string | undefined
  #first: number | undefined
  #running: Promise<void> | undefined

  constructor(api: PlatformApi) {
    this.#api = api
  }

  /** Where the first stream began. */
  get first(): number {
    return this.#first ?? 0
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#leaving.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#leaving.signal.aborted) {
      try {
        await this.#follow()
      } catch {
        // Its replica ended: the next one goes on after the last id.
      }
      this.resumed += 1
      await delay(RETRY_MS)
    }
  }

  async #follow(): Promise<void> {
    const answer = await fetch(`${this.#api.url}/events/stream`, {
      signal: this.#leaving.signal,
      headers: {
        ...this.#api.headers,
        ...(this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId }),
      },
    })
    if (!answer.ok || answer.body === null) return
    let text = ''
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const frames = (text + piece).split('\n\n')
      text = frames.pop() ?? ''
      for (const frame of frames) this.#take(frame)
    }
  }

  #take(frame: string): void {
    const id = /^id: (\d+)$/m.exec(frame)?.[1]
    if (id === undefined) return
    this.#lastId = id
    if (/^event: reset$/m.test(frame)) this.resets += 1
    else if (/^data: /m.test(frame)) this.seen.push(Number(id))
    this.#first ??= Number(id)
  }
}
