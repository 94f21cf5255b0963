/** @module Server-sent events on their way through, each changed as a whole (contract/a2a 2.7). */
import { Readable } from 'node:stream'
import { AppError } from '@atrium/http-kit/app-error'
import { agentFailure } from '../../upstream/agent-client.ts'

/** What the clients of the official SDK take at most. */
const MAX_EVENT_BYTES = 4 * 1024 * 1024

/**
 * The data of every complete event; comments, names and ids are not told. Throws as `agentFailure`
 * does, and `workspace_invalid_response` for an event that is too long.
 */
export async function* eventData(events: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let pending = ''
  try {
    for await (const piece of events) {
      pending += decoder.decode(piece, { stream: true })
      if (!/[\r\n]/.test(pending)) continue
      const frames = pending.split(/\r\n\r\n|\n\n|\r\r/)
      pending = frames.pop() ?? ''
      for (const frame of frames) {
        const data = dataOf(frame)
        if (data !== undefined) yield data
      }
      if (pending.length > MAX_EVENT_BYTES) throw new AppError('workspace_invalid_response')
    }
  } catch (error) {
    throw agentFailure(error)
  }
}

function dataOf(frame: string): string | undefined {
  const lines = frame.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'))
  if (lines.length === 0) return undefined
  // One line: old clients cannot read several (contract/a2a 2.7).
  return lines.map((line) => line.slice('data:'.length).replace(/^ /, '')).join(' ')
}

export function eventFrame(data: string): string {
  return `data: ${data}\n\n`
}

/** The events, each as `change` makes it; one of which it makes nothing is left out. */
export function mapEvents(
  events: Readable,
  change: (data: string) => string | undefined,
): Readable {
  async function* changed(): AsyncGenerator<string> {
    for await (const data of eventData(events)) {
      const told = change(data)
      if (told !== undefined) yield eventFrame(told)
    }
  }
  const mapped = Readable.from(changed(), { highWaterMark: 1 })
  // Whoever gives the mapped ones up gives up the agent's.
  mapped.once('close', () => events.destroy())
  return mapped
}
