/** @module A real HTTP server that plays the platform's registry: it records calls and answers as told. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type RegistryCall = {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Record<string, unknown>
}

export type RegistryAnswer = {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** `undefined` leaves the call without an answer. */
type Answer = (call: RegistryCall) => RegistryAnswer | undefined

export type RegistryServer = {
  readonly url: string
  readonly registrations: RegistryCall[]
  readonly beats: RegistryCall[]
  onRegister: Answer
  onHeartbeat: Answer
  close(): Promise<void>
}

export const REGISTERED: RegistryAnswer = {
  status: 200,
  body: { status: 'registered', delivery_mode: 'push' },
}
export const BEAT_ACCEPTED: RegistryAnswer = { status: 200, body: { status: 'ok' } }

export async function startRegistryServer(): Promise<RegistryServer> {
  const server = createServer(async (incoming, response) => {
    const call = await readCall(incoming)
    const isBeat = call.path === '/registry/heartbeat'
    const calls = isBeat ? registry.beats : registry.registrations
    calls.push(call)
    const answer = isBeat ? registry.onHeartbeat(call) : registry.onRegister(call)
    if (answer !== undefined) send(response, answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const registry: RegistryServer = {
    url: `http://127.0.0.1:${port}`,
    registrations: [],
    beats: [],
    onRegister: () => REGISTERED,
    onHeartbeat: () => BEAT_ACCEPTED,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return registry
}

async function readCall(incoming: IncomingMessage): Promise<RegistryCall> {
  const pieces: Buffer[] = []
  for await (const piece of incoming) pieces.push(piece)
  const text = Buffer.concat(pieces).toString('utf8')
  return {
    path: incoming.url ?? '',
    headers: incoming.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  }
}

function send(response: ServerResponse, { status, body, headers }: RegistryAnswer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {})
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}
