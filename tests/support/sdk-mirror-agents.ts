/**
 * @module Agents of both generations made with the official SDKs, on real sockets. Each keeps the
 * message as its SDK has read it, and answers with a message that says the same back.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AgentCard, Message, Role } from '@a2a-js/sdk'
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server'
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import type { AgentCard as AgentCard03 } from 'a2a-sdk-0-3-14'
import {
  DefaultRequestHandler as DefaultRequestHandler03,
  InMemoryTaskStore as InMemoryTaskStore03,
  JsonRpcTransportHandler as JsonRpcTransportHandler03,
} from 'a2a-sdk-0-3-14/server'

export type MirrorAgent<Card> = {
  readonly url: string
  readonly card: Card
  /** What the SDK gave to the agent, as JSON, by the id of the message; taken out once. */
  take(messageId: string): unknown
  /** All that was not taken. */
  takeAll(): unknown[]
  close(): Promise<void>
}

/** Speaks 1.0, and 0.3 through the SDK's compatibility layer. */
export async function startMirror10(): Promise<MirrorAgent<AgentCard>> {
  const seen = new Map<string, unknown>()
  const { server, url } = await listen()
  const card = card10(url)
  const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), {
    execute({ userMessage }, bus) {
      seen.set(userMessage.messageId, Message.toJSON(userMessage))
      const answer = { ...userMessage, messageId: `re-${userMessage.messageId}` }
      bus.publish(AgentEvent.message({ ...answer, role: Role.ROLE_AGENT }))
      bus.finished()
      return Promise.resolve()
    },
    cancelTask: () => Promise.resolve(),
  })
  const current = new JsonRpcTransportHandler(handler)
  const legacy = new LegacyJsonRpcTransportHandler(handler)
  serve(server, (body) => {
    const isLegacy = String(body['method']).includes('/')
    const context = new ServerCallContext({ requestedVersion: isLegacy ? '0.3' : '1.0' })
    return (isLegacy ? legacy : current).handle(body, context)
  })
  return { url, card, ...takersOf(seen), close: () => close(server) }
}

/** The SDK 0.3.14 as it is in the field. */
export async function startMirror03(): Promise<MirrorAgent<AgentCard03>> {
  const seen = new Map<string, unknown>()
  const { server, url } = await listen()
  const card: AgentCard03 = {
    ...{ name: 'mirror', description: 'says it back', url, version: '1', skills: [] },
    ...{ protocolVersion: '0.3.0', preferredTransport: 'JSONRPC' },
    capabilities: { streaming: true },
    ...{ defaultInputModes: ['text'], defaultOutputModes: ['text'] },
  }
  const handler = new JsonRpcTransportHandler03(
    new DefaultRequestHandler03(card, new InMemoryTaskStore03(), {
      execute({ userMessage }, bus) {
        seen.set(userMessage.messageId, userMessage)
        bus.publish({ ...userMessage, messageId: `re-${userMessage.messageId}`, role: 'agent' })
        bus.finished()
        return Promise.resolve()
      },
      cancelTask: () => Promise.resolve(),
    }),
  )
  serve(server, (body) => handler.handle(body))
  return { url, card, ...takersOf(seen), close: () => close(server) }
}

function card10(url: string): AgentCard {
  const entry = { url, protocolBinding: 'JSONRPC', tenant: '' }
  return {
    ...{ name: 'mirror', description: 'says it back', version: '1' },
    supportedInterfaces: [
      { ...entry, protocolVersion: '1.0' },
      { ...entry, protocolVersion: '0.3' },
    ],
    capabilities: { streaming: true, pushNotifications: false, extensions: [] },
    ...{ provider: undefined, securitySchemes: {}, securityRequirements: [], signatures: [] },
    ...{ defaultInputModes: ['text'], defaultOutputModes: ['text'], skills: [] },
  }
}

function takersOf(seen: Map<string, unknown>) {
  return {
    take(messageId: string): unknown {
      const value = seen.get(messageId)
      seen.delete(messageId)
      return value
    },
    takeAll(): unknown[] {
      const values = [...seen.values()]
      seen.clear()
      return values
    },
  }
}

type Body = Record<string, unknown>

async function listen(): Promise<{ server: Server; url: string }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  return { server, url: `http://127.0.0.1:${address.port}/` }
}

function serve(server: Server, handle: (body: Body) => Promise<object>): void {
  server.on('request', (incoming, outgoing) => {
    void (async () => {
      const answer = await handle(await bodyOf(incoming))
      if (!isStream(answer)) {
        outgoing.writeHead(200, { 'content-type': 'application/json' })
        outgoing.end(JSON.stringify(answer))
        return
      }
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
      for await (const event of answer) outgoing.write(`data: ${JSON.stringify(event)}\n\n`)
      outgoing.end()
    })()
  })
}

function isStream(answer: object): answer is AsyncIterable<unknown> {
  return Symbol.asyncIterator in answer
}

async function bodyOf(incoming: IncomingMessage): Promise<Body> {
  const pieces: Buffer[] = []
  for await (const piece of incoming) pieces.push(piece)
  const body: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'))
  if (typeof body !== 'object' || body === null) throw new Error('not an object')
  return { ...body }
}

async function close(server: Server): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}
