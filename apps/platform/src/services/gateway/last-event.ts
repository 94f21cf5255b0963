/** @module The last of an agent's events, for a sender that was not there to follow them. */
import type { Readable } from 'node:stream'
import { agentFailure } from '../../upstream/agent-client.ts'

/** One event is at most so long; a longer one is not kept. */
const MAX_EVENT_BYTES = 4 * 1024 * 1024

/** The data of the last complete event, or null when there was none, or it was too long. */
export async function lastEventOf(events: Readable): Promise<Buffer | null> {
  let last: string | null = null
  let pending = ''
  try {
    for await (const piece of events.setEncoding('utf8')) {
      pending += String(piece)
      const frames = pending.split(/\r?\n\r?\n/)
      pending = frames.pop() ?? ''
      for (const frame of frames) last = dataOf(frame) ?? last
      if (pending.length > MAX_EVENT_BYTES) pending = ''
    }
  } catch (error) {
    throw agentFailure(error)
  }
  return last === null ? null : Buffer.from(last)
}

function dataOf(frame: string): string | undefined {
  const lines = frame.split(/\r?\n/).filter((line) => line.startsWith('data:'))
  return lines.length === 0
    ? undefined
    : lines.map((line) => line.slice(5).replace(/^ /, '')).join('')
}
