/**
 * @module A machine without a process: an agent that registers, beats and answers. Hundreds of them
 * fit into one test.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import type { Machine, MachineInput, MachineState } from './machine.ts'

export type LightOptions = {
  readonly beatEveryMs?: number
  readonly retryAfterMs?: number
}

/** One pool for all of them; `unref`ed sockets hold no test up. */
const PLATFORM = new Agent({ connections: 16, connect: { timeout: 5_000 } })

export class LightMachine implements Machine {
  readonly instanceId: string
  readonly workspaceId: string
  readonly address: string
  readonly env: Readonly<Record<string, string>>
  readonly #options: Required<LightOptions>
  readonly #server: Server
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  readonly #lines: string[] = []
  #inboundSecret: string
  #state: MachineState = 'pending'

  constructor(input: MachineInput, options: LightOptions = {}) {
    this.instanceId = input.instanceId
    this.workspaceId = input.workspaceId
    this.address = input.address
    this.env = input.env
    this.#options = { beatEveryMs: 30_000, retryAfterMs: 500, ...options }
    this.#inboundSecret = input.env['ATRIUM_INBOUND_SECRET'] ?? ''
    this.#server = createServer((incoming, response) => {
      const isPlatform = incoming.headers.authorization === `Bearer ${this.#inboundSecret}`
      response.writeHead(isPlatform ? 200 : 401, { 'content-type': 'application/json' })
      response.end('{}')
    })
    this.#running = this.#run()
  }

  get state(): MachineState {
    return this.#state
  }

  pids(): readonly number[] {
    return []
  }

  console(): string {
    return this.#lines.join('\n')
  }

  async kill(): Promise<void> {
    if (this.#state !== 'terminated') this.#state = 'stopped'
    this.#ended.abort()
    this.#server.closeAllConnections()
    await this.#running
  }

  async terminate(): Promise<void> {
    this.#state = 'terminated'
    await this.kill()
  }

  async #run(): Promise<void> {
    const listening = Promise.withResolvers<void>()
    this.#server.listen(0, this.address, () => listening.resolve())
    await listening.promise
    if (this.#state === 'pending') this.#state = 'running'
    while (!this.#ended.signal.aborted) {
      if (await this.#register()) await this.#beat()
      else await this.#pause(this.#options.retryAfterMs)
    }
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    this.#server.closeAllConnections()
    await closed.promise
  }

  async #register(): Promise<boolean> {
    const { port } = this.#server.address() as AddressInfo
    const status = await this.#post('/registry/register', {
      id: this.workspaceId,
      url: `http://${this.address}:${port}`,
      agent_card: { name: 'light' },
    })
    return status === 200
  }

  /** Beats until the platform does not know it any more. */
  async #beat(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#pause(this.#options.beatEveryMs)
      if (this.#ended.signal.aborted) return
      const status = await this.#post('/registry/heartbeat', { workspace_id: this.workspaceId })
      if (status === 401 || status === 404) return
    }
  }

  async #post(path: string, body: Record<string, unknown>): Promise<number | undefined> {
    try {
      const { statusCode, body: answer } = await request(`${this.env['PLATFORM_URL']}${path}`, {
        method: 'POST',
        dispatcher: PLATFORM,
        signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(10_000)]),
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${this.env['ATRIUM_AUTH_TOKEN']}`,
        },
        body: JSON.stringify({ ...body, generation: Number(this.env['ATRIUM_GENERATION']) }),
      })
      const text = await answer.text()
      this.#lines.push(`${path} ${statusCode}`)
      this.#keepSecret(statusCode, text)
      return statusCode
    } catch (error) {
      this.#lines.push(`${path} ${error instanceof Error ? error.name : 'failed'}`)
      return undefined
    }
  }

  #keepSecret(status: number, text: string): void {
    if (status !== 200) return
    const secret = (JSON.parse(text) as Record<string, unknown>)['platform_inbound_secret']
    if (typeof secret === 'string') this.#inboundSecret = secret
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#ended.signal }).catch(() => undefined)
  }
}
