/**
 * @module An agent that answers messages as badly as it can: a real server on a real socket, one
 * named answer at a time. What is wrong below HTTP is in `evil-workspace.ts`; here it is what HTTP
 * carries.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Call = { readonly id: unknown; readonly method: string }
type Answer = (response: ServerResponse, call: Call) => void

const MIB = 1024 * 1024
const JSON_TYPE = 'application/json'
const EVENTS = 'text/event-stream'

const body =
  (status: number, type: string, content: string | Buffer): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': type }).end(content)
  }

const rpc =
  (make: (id: unknown) => object): Answer =>
  (response, { id }) => {
    response.writeHead(200, { 'content-type': JSON_TYPE }).end(JSON.stringify(make(id)))
  }

/** Writes `piece` as fast as it is taken, `times` times, and then what comes last. */
function pour(response: ServerResponse, piece: Buffer, times: number, last?: string): void {
  let left = times
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= 1
      if (!response.write(piece)) {
        response.once('drain', more)
        return
      }
    }
    if (left === 0 && last !== undefined) response.end(last)
  }
  more()
}

/** Writes one piece every few milliseconds for ever. */
function trickle(response: ServerResponse, piece: string): void {
  const timer = setInterval(() => response.write(piece), 20)
  response.once('close', () => clearInterval(timer))
}

const HTML = '<!doctype html><title>Bad Gateway</title><h1>nginx</h1><script>alert(1)</script>'
const PIECE = Buffer.alloc(64 * 1024, 'x')

/** What is said in place of one JSON-RPC answer. */
const ANSWERS = {
  'html with 200': body(200, 'text/html', HTML),
  'html with 404': body(404, 'text/html', HTML),
  'html with 500': body(500, 'text/html', HTML),
  'html that says json': body(200, JSON_TYPE, HTML),
  nothing: body(200, JSON_TYPE, ''),
  'no content': (response) => response.writeHead(204).end(),
  'json cut off': body(200, JSON_TYPE, '{"jsonrpc":"2.0","id":1,"result":{"kind":"tas'),
  'json twice': body(200, JSON_TYPE, '{"jsonrpc":"2.0","id":1,"result":1}{"jsonrpc":"2.0"}'),
  'json nested without end': body(200, JSON_TYPE, '['.repeat(2 * MIB)),
  'json of objects without end': body(200, JSON_TYPE, '{"a":'.repeat(MIB)),
  'bytes that are no text': body(200, JSON_TYPE, Buffer.alloc(4096, 0xff)),
  'utf-16': body(200, JSON_TYPE, Buffer.from('{"jsonrpc":"2.0","id":1,"result":{}}', 'utf16le')),
  'a string': body(200, JSON_TYPE, '"jsonrpc"'),
  null: body(200, JSON_TYPE, 'null'),
  'a batch': rpc((id) => [{ jsonrpc: '2.0', id, result: { kind: 'message' } }]),
  'neither result nor error': rpc((id) => ({ jsonrpc: '2.0', id })),
  'an error that is a string': rpc((id) => ({ jsonrpc: '2.0', id, error: 'no' })),
  'an error without code': rpc((id) => ({ jsonrpc: '2.0', id, error: { message: 'no' } })),
  'another protocol': rpc((id) => ({ jsonrpc: '1.0', id, result: {} })),
  'a body of 100 MB': (response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE })
    pour(response, PIECE, 1_600, '')
  },
  'a body without end': (response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE })
    pour(response, PIECE, Number.POSITIVE_INFINITY)
  },
  'a trickle': (response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE })
    trickle(response, ' ')
  },
  'a head and silence': (response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': 100 })
    response.flushHeaders()
  },
  'events with an error status': body(500, EVENTS, 'data: {"jsonrpc":"2.0","id":1}\n\n'),
} as const satisfies Readonly<Record<string, Answer>>

/** What is said in place of a stream of events. */
const STREAMS = {
  'an event of 100 MB': (response) => {
    response.writeHead(200, { 'content-type': EVENTS })
    response.write('data: {"jsonrpc":"2.0","id":1,"result":{"kind":"message","text":"')
    pour(response, PIECE, 1_600, '"}}\n\n')
  },
  'a line without end': (response) => {
    response.writeHead(200, { 'content-type': EVENTS })
    pour(response, PIECE, Number.POSITIVE_INFINITY)
  },
  'events that are html': body(200, EVENTS, `data: ${HTML}\n\n`),
  'events that are no text': body(
    200,
    EVENTS,
    Buffer.concat([Buffer.from('data: '), Buffer.alloc(4096, 0xff), Buffer.from('\n\n')]),
  ),
  'no events at all': body(200, EVENTS, ''),
  'half an event': body(200, EVENTS, 'data: {"jsonrpc":"2.0","id":1,"res'),
  'a task that it has never heard of afterwards': (response, { id, method }) => {
    if (!isMessage(method)) {
      const error = { code: -32001, message: 'Task not found' }
      response.writeHead(200, { 'content-type': JSON_TYPE })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error }))
      return
    }
    const status = { state: 'working' }
    const result = { kind: 'task', id: 'lost', contextId: 'c', status }
    response.writeHead(200, { 'content-type': EVENTS })
    response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
  },
  'a reset in an event': (response) => {
    response.writeHead(200, { 'content-type': EVENTS })
    response.write('data: {"jsonrpc":"2.0"', () => response.socket?.resetAndDestroy())
  },
} as const satisfies Readonly<Record<string, Answer>>

/** What is said by an agent that is right in everything but one thing: the caller is answered. */
const ODDITIES = {
  'the id of somebody else': rpc(() => ({ jsonrpc: '2.0', id: 'other', result: RESULT })),
  'the id as a string': rpc((id) => ({ jsonrpc: '2.0', id: String(id), result: RESULT })),
  'no id': rpc(() => ({ jsonrpc: '2.0', result: RESULT })),
  'a key called __proto__': (response, { id }) => {
    const text = JSON.stringify({ jsonrpc: '2.0', id, result: RESULT })
    const poisoned = text.replace('{', '{"__proto__":{"polluted":1},')
    response.writeHead(200, { 'content-type': JSON_TYPE }).end(poisoned)
  },
  'a byte order mark': (response, { id }) => {
    const text = JSON.stringify({ jsonrpc: '2.0', id, result: RESULT })
    response.writeHead(200, { 'content-type': JSON_TYPE }).end(`\ufeff${text}`)
  },
} as const satisfies Readonly<Record<string, Answer>>

const RESULT = {
  kind: 'message',
  messageId: 'answer',
  role: 'agent',
  parts: [{ kind: 'text', text: 'well' }],
}

const ALL: Readonly<Record<string, Answer>> = { ...ANSWERS, ...STREAMS, ...ODDITIES }

export type HostileAnswer = keyof typeof ANSWERS | keyof typeof STREAMS | keyof typeof ODDITIES

const namesOf = <Name extends string>(from: Readonly<Record<Name, Answer>>): readonly Name[] =>
  Object.keys(from) as Name[]

/** No caller can be given these: it has to be told an error. */
export const HOSTILE_ANSWERS = namesOf(ANSWERS)
export const HOSTILE_STREAMS = namesOf(STREAMS)
/** These are answers all the same. */
export const ODD_ANSWERS = namesOf(ODDITIES)

export class HostileAgent {
  /** What the next request gets; may be changed at any time. */
  says: HostileAnswer = 'nothing'
  /** What it has been asked to carry out: messages, not questions about tasks. */
  messages = 0
  readonly #server: Server = createServer((incoming, response) => {
    void this.#answer(incoming, response)
  })

  /** Listens on a free loopback port. */
  static async start(): Promise<HostileAgent> {
    const agent = new HostileAgent()
    await new Promise<void>((resolve, reject) => {
      agent.#server.once('error', reject)
      agent.#server.listen(0, '127.0.0.1', resolve)
    })
    return agent
  }

  get url(): string {
    const address = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${address.port}/`
  }

  /** Connections that somebody still holds. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
    })
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    // Being cut off is what this server is for.
    response.on('error', () => undefined)
    const pieces: Buffer[] = []
    try {
      for await (const piece of incoming) pieces.push(piece)
    } catch {
      return
    }
    const call = callOf(Buffer.concat(pieces).toString('utf8'))
    if (isMessage(call.method)) this.messages += 1
    ALL[this.says]?.(response, call)
  }
}

const isMessage = (method: string): boolean => /send|stream/i.test(method)

function callOf(text: string): Call {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && 'id' in value && 'method' in value) {
      return { id: value.id, method: String(value.method) }
    }
  } catch {
    // Not JSON-RPC: answered all the same.
  }
  return { id: null, method: '' }
}
