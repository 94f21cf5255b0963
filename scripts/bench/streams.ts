/**
 * @module Many streams through the gateway at once, an event a second each: what they cost, and how
 * late their events are. A stream goes on when its reader leaves, so each measurement ends its own.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { openDatabase } from '../../apps/platform/src/db/client.ts'
import { type Child, processorSeconds, residentBytes } from './child.ts'
import type { HeartbeatSuite } from './heartbeats.ts'
import type { MessageTarget } from './message-load.ts'
import type { Row } from './report.ts'
import { StreamReaders } from './stream-load.ts'

const WATCH_MS = 10_000

export type StreamGateway = {
  readonly child: Child
  readonly databaseUrl: string
  readonly streams: MessageTarget
  /** Of the agent itself, which ends everything when it is asked for `/end`. */
  readonly agentPort: number
}

export async function measureStreams(
  { say }: HeartbeatSuite,
  gateway: StreamGateway,
  count: number,
): Promise<Row[]> {
  say(`${count} streams, an event a second each`)
  const { pid } = gateway.child
  const idleBytes = residentBytes(pid)
  const readers = new StreamReaders()
  try {
    await readers.open(gateway.streams, count)
    await delay(2_000)
    readers.take()
    const before = processorSeconds(pid)
    const startedAt = performance.now()
    await delay(WATCH_MS)
    const seconds = (performance.now() - startedAt) / 1_000
    const busy = ((processorSeconds(pid) - before) / seconds) * 100
    const lags = readers.take()
    const perStream = (residentBytes(pid) - idleBytes) / 1024 / count
    if (readers.ended > 0) throw new Error(`${readers.ended} streams have ended`)
    await endStreams(gateway, readers)
    const at = (share: number) => lags[Math.ceil(lags.length * share) - 1] ?? Number.NaN
    const work = `${count} streams`
    const events = lags.length / seconds
    return [
      { work: `${work}, processor`, unit: '% of a core', atrium: busy, target: { atMost: 10 } },
      { work: '  memory each', unit: 'KiB', atrium: perStream, target: { atMost: 50 } },
      { work: '  lag p50', unit: 'ms', atrium: at(0.5) },
      { work: '  lag p99', unit: 'ms', atrium: at(0.99), target: { atMost: 1 } },
      { work: '  events told', unit: 'msg/s', atrium: events, peer: count },
    ]
  } finally {
    readers.close()
  }
}

/** Resolves when every reader has read to the end and the platform follows no stream any more. */
async function endStreams(gateway: StreamGateway, readers: StreamReaders): Promise<void> {
  await fetch(`http://127.0.0.1:${gateway.agentPort}/end`, { method: 'POST' })
  const database = openDatabase({ url: gateway.databaseUrl, maxConnections: 1 })
  try {
    await gateway.child.until('the platform forgets the streams', async () => {
      const [row] = await database.sql<{ running: number }[]>`
        SELECT count(*)::int AS running FROM a2a_streams WHERE ended_at IS NULL`
      return row?.running === 0 && readers.areAllEnded ? true : undefined
    })
  } finally {
    await database.close()
  }
}
