/** @module Readers of many streams at once: what each event's way has taken. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { MessageTarget } from './message-load.ts'

const OPEN_AT_ONCE = 50
const SENT_AT = /"sentAt":(\d+(?:\.\d+)?)/g

export class StreamReaders {
  readonly #responses: IncomingMessage[] = []
  /** Of events since the last `take`, in milliseconds. */
  #lags: number[] = []
  ended = 0

  get areAllEnded(): boolean {
    return this.ended === this.#responses.length
  }

  /** Opens `count` more, a few at a time; resolves when all have begun. */
  async open(target: MessageTarget, count: number): Promise<void> {
    let left = count
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await this.#openOne(target)
      }
    }
    await Promise.all(Array.from({ length: OPEN_AT_ONCE }, worker))
  }

  /** The lags since the last time, sorted. */
  take(): number[] {
    const lags = this.#lags.toSorted((a, b) => a - b)
    this.#lags = []
    return lags
  }

  close(): void {
    for (const response of this.#responses) response.destroy()
  }

  async #openOne(target: MessageTarget): Promise<void> {
    const messageId = crypto.randomUUID()
    const parts = [{ kind: 'text', text: 'go' }]
    const message = { kind: 'message', messageId, role: 'user', parts }
    const body = { jsonrpc: '2.0', id: 1, method: 'message/stream', params: { message } }
    const { port, path } = target
    const headers = { ...target.headers, 'content-type': 'application/json' }
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false })
    sent.end(JSON.stringify(body))
    const [response]: IncomingMessage[] = await once(sent, 'response')
    if (response?.statusCode !== 200) throw new Error(`a stream began with ${response?.statusCode}`)
    this.#responses.push(response)
    response.on('close', () => {
      this.ended += 1
    })
    response.on('error', () => undefined)
    response.setEncoding('latin1').on('data', (text: string) => this.#read(text))
    await once(response, 'data')
  }

  #read(text: string): void {
    const now = performance.timeOrigin + performance.now()
    for (const [, sentAt] of text.matchAll(SENT_AT)) this.#lags.push(now - Number(sentAt))
  }
}
