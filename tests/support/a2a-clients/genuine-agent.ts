/**
 * @module An agent of 0.3 as it is in the field: the official SDK 0.3.14 on a real socket. It says
 * `echo: ` and what it was told, and works at `wait` until that is canceled.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AgentCard } from 'a2a-sdk-0-3-14'
import {
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  type RequestContext,
} from 'a2a-sdk-0-3-14/server'

export type GenuineAgent = {
  readonly url: string
  readonly card: AgentCard
  /** Methods in the order of arrival. */
  readonly methods: string[]
  close(): Promise<void>
}

type Place = { readonly taskId: string; readonly contextId: string }

class EchoExecutor implements AgentExecutor {
  readonly #waiting = new Map<string, Place>()

  async execute({ userMessage, taskId, contextId, task }: RequestContext, bus: ExecutionEventBus) {
    const text = userMessage.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('')
    const place = { taskId, contextId }
    const first = { kind: 'task', id: taskId, contextId, status: { state: 'submitted' } } as const
    if (task === undefined) bus.publish({ ...first, history: [userMessage] })
    bus.publish({ kind: 'status-update', ...place, status: { state: 'working' }, final: false })
    if (text === 'wait') {
      this.#waiting.set(taskId, place)
      return
    }
    const artifact = { artifactId: 'a', parts: [{ kind: 'text', text: `echo: ${text}` } as const] }
    bus.publish({ kind: 'artifact-update', ...place, artifact })
    this.#end(place, 'completed', bus)
  }

  cancelTask = async (taskId: string, bus: ExecutionEventBus): Promise<void> => {
    const place = this.#waiting.get(taskId)
    if (place !== undefined) this.#end(place, 'canceled', bus)
  }

  #end(place: Place, state: 'completed' | 'canceled', bus: ExecutionEventBus): void {
    const timestamp = new Date().toISOString()
    bus.publish({ kind: 'status-update', ...place, status: { state, timestamp }, final: true })
    bus.finished()
  }
}

/** Starts one on a free loopback port. */
export async function startGenuineAgent(): Promise<GenuineAgent> {
  const methods: string[] = []
  let handler: JsonRpcTransportHandler | undefined
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const card: AgentCard = {
    ...{ name: 'genuine', description: 'echoes', url, version: '1', skills: [] },
    ...{ protocolVersion: '0.3.0', preferredTransport: 'JSONRPC' },
    capabilities: { streaming: true, pushNotifications: true },
    defaultInputModes: ['text'],
    defaultOutputModes: ['text'],
  }
  handler = new JsonRpcTransportHandler(
    new DefaultRequestHandler(card, new InMemoryTaskStore(), new EchoExecutor()),
  )

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece)
    const body: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'))
    if (typeof body === 'object' && body !== null && 'method' in body) {
      methods.push(String(body.method))
    }
    const result = await handler?.handle(body)
    if (result === undefined) return
    if (!(Symbol.asyncIterator in result)) {
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
      return
    }
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
    for await (const event of result) outgoing.write(`data: ${JSON.stringify(event)}\n\n`)
    outgoing.end()
  }

  return {
    ...{ url, card, methods },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
