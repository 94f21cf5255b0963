/** @module An HTTP client that tells a clean end from a broken one, and can be slow on purpose. */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'

export type Answer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** False when the connection broke before the message was complete. */
  readonly isComplete: boolean
}

export type Sending = {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly agent?: Agent
}

/** Sends and resolves with the head; the body has not been read. Rejects when there is no answer. */
export function open(url: URL, sending: Sending = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = begin(url, sending)
    sent.once('response', resolve)
    sent.once('error', reject)
    sent.end(sending.body)
  })
}

/** A request whose body the caller writes and ends. */
export function begin(url: URL, sending: Sending = {}): ClientRequest {
  return request(url, {
    method: sending.method ?? 'GET',
    headers: { ...sending.headers },
    agent: sending.agent ?? new Agent({ keepAlive: false }),
  })
}

/** Reads the rest of an answer; a break is a fact here, not an error. */
export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of response) pieces.push(piece)
  } catch (error) {
    if (response.complete) throw error
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(pieces),
    isComplete: response.complete,
  }
}

export async function send(url: URL, sending: Sending = {}): Promise<Answer> {
  return readAnswer(await open(url, sending))
}

/** The stable code of an error body. */
export function errorCode(answer: Answer): unknown {
  const body: unknown = JSON.parse(answer.body.toString('utf8'))
  return typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined
}
