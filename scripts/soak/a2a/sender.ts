/** @module One sender of one message: it does not stop before it knows what became of it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PlatformApi } from '../platform-api.ts'
import { type Reading, readReply } from './read-reply.ts'

/** A repetition may have to wait for the lease of a replica that is gone, and for its answer. */
const ANSWER_MS = 90_000
const RETRY_MS = 250
const ASK_MS = 500

/** How a message ended, as its sender was told. */
export type Ending =
  | { readonly kind: 'answered'; readonly text: string }
  | { readonly kind: 'failed'; readonly reason: string }

export type Letter = {
  readonly messageId: string
  readonly workspaceId: string
  readonly sentAt: number
  ending: Ending | undefined
  /** Sent again, because the answer was lost or it was said that it may be. */
  repetitions: number
  wasQueued: boolean
  /** What was said last, for whoever has to find out why there is no ending. */
  heard: string
}

export function newLetter(workspaceId: string, messageId: string): Letter {
  return {
    ...{ messageId, workspaceId, sentAt: performance.now(), ending: undefined },
    ...{ repetitions: 0, wasQueued: false, heard: 'nothing' },
  }
}

/** Sends, repeats under the same key and asks until there is an ending, or `signal` says no more. */
export async function see(api: PlatformApi, letter: Letter, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const reading = await send(api, letter)
    if (reading.kind === 'over') {
      letter.ending = reading.ending
      return
    }
    if (reading.kind === 'queued') {
      letter.wasQueued = true
      letter.ending = await follow(api, letter, reading.queueId, signal)
      return
    }
    letter.repetitions += 1
    await delay(RETRY_MS * (1 + Math.random()))
  }
}

async function send(api: PlatformApi, letter: Letter): Promise<Reading> {
  const { messageId } = letter
  const parts = [{ kind: 'text', text: messageId }]
  const message = { kind: 'message', messageId, role: 'user', parts }
  const body = {
    jsonrpc: '2.0',
    id: letter.repetitions,
    method: 'message/send',
    params: { message },
  }
  const path = `/workspaces/${letter.workspaceId}/a2a`
  return await ask(api, letter, { method: 'POST', path, body, key: messageId })
}

/** Asks the queue until it has an end. */
async function follow(
  api: PlatformApi,
  letter: Letter,
  queueId: string,
  signal: AbortSignal,
): Promise<Ending | undefined> {
  const path = `/workspaces/${letter.workspaceId}/a2a/queue/${queueId}`
  while (!signal.aborted) {
    const reading = await ask(api, letter, { method: 'GET', path })
    if (reading.kind === 'over') return reading.ending
    await delay(ASK_MS * (0.5 + Math.random()))
  }
  return undefined
}

type Question = {
  readonly method: string
  readonly path: string
  readonly body?: object
  readonly key?: string
}

async function ask(api: PlatformApi, letter: Letter, question: Question): Promise<Reading> {
  try {
    const answer = await fetch(`${api.url}${question.path}`, {
      method: question.method,
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: {
        ...api.headers,
        'content-type': 'application/json',
        connection: 'close',
        ...(question.key === undefined ? {} : { 'idempotency-key': question.key }),
      },
      ...(question.body === undefined ? {} : { body: JSON.stringify(question.body) }),
    })
    const text = await answer.text()
    letter.heard = `${question.method} ${answer.status} ${text.slice(0, 400)}`
    return readReply(answer.status, JSON.parse(text))
  } catch (error) {
    // Its replica died: what became of the message is still to be found out.
    letter.heard = `${question.method} ${String(error)}`
    return { kind: 'again' }
  }
}
