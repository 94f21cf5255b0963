/** @module Uploads, downloads and messages without a pause, and what became of each. */
import { randomBytes } from 'node:crypto'
import { multipartForm } from './multipart-form.ts'

/** A workspace as one of the platform's replicas knows it. */
export type LoadTarget = {
  readonly platformUrl: string
  readonly id: string
  readonly token: string
}

const SMALL_BYTES = 20_000
const LARGE_BYTES = 3_000_000

export class FileLoad {
  readonly failures: string[] = []
  requests = 0
  readonly targets: readonly LoadTarget[]
  readonly #workers: number
  #isStopping = false
  #running: Promise<unknown> | undefined

  constructor(targets: readonly LoadTarget[], workers: number) {
    this.targets = targets
    this.#workers = workers
  }

  start(): void {
    this.#isStopping = false
    this.#running = Promise.all(Array.from({ length: this.#workers }, (_, n) => this.#work(n)))
  }

  /** Resolves when the requests in flight have ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#running
  }

  async #work(worker: number): Promise<void> {
    for (let round = worker; !this.#isStopping; round += 1) {
      const target = this.targets[round % this.targets.length]
      if (target === undefined) throw new Error('nobody to load')
      const isLarge = round % 10 === 0
      try {
        const uri = await this.#upload(target, isLarge ? LARGE_BYTES : SMALL_BYTES)
        await this.#download(target, uri)
        // The start and the end of a task are told with a beat each, which is how news travel.
        await this.#message(target)
      } catch (error) {
        this.failures.push(String(error))
      }
    }
  }

  async #upload(target: LoadTarget, bytes: number): Promise<string> {
    const form = multipartForm([{ filename: 'load.bin', content: randomBytes(bytes) }])
    const answer = await this.#send(target, '/chat/uploads', {
      method: 'POST',
      headers: form.headers,
      body: new Uint8Array(form.body),
    })
    const { files } = (await answer.json()) as { files: { uri: string; size: number }[] }
    const [file] = files
    if (file?.size !== bytes) throw new Error('not everything was stored')
    return file.uri.replace(/^workspace:/, '')
  }

  async #download(target: LoadTarget, path: string): Promise<void> {
    const answer = await this.#send(target, `/chat/download?path=${encodeURIComponent(path)}`)
    await answer.arrayBuffer()
  }

  async #message(target: LoadTarget): Promise<void> {
    const message = {
      kind: 'message',
      role: 'user',
      messageId: randomBytes(8).toString('hex'),
      parts: [{ kind: 'text', text: 'hello' }],
    }
    const answer = await this.#send(target, '/a2a', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'message/send', params: { message } }),
    })
    const body = (await answer.json()) as { error?: unknown }
    if (body.error !== undefined) throw new Error(`message: ${JSON.stringify(body.error)}`)
  }

  async #send(target: LoadTarget, path: string, init: RequestInit = {}): Promise<Response> {
    this.requests += 1
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${target.token}`)
    const url = `${target.platformUrl}/workspaces/${target.id}${path}`
    const answer = await fetch(url, { ...init, headers })
    if (answer.status !== 200) {
      throw new Error(`${path.split('?')[0]}: ${answer.status} ${await answer.text()}`)
    }
    return answer
  }
}
