/** @module A client of server-sent events that shows every frame as it came. */
import { eventually } from './eventually.ts'

export type StreamFrame = {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly comment: string | undefined
  readonly data: unknown
}

export type EventStreamClient = {
  readonly response: Response
  readonly frames: readonly StreamFrame[]
  /** The types of all frames with a `data.type`. */
  types(): unknown[]
  lastId(): string | undefined
  hasEnded(): boolean
  /** Waits until `count` typed frames have come, and returns the types of all. */
  until(count: number): Promise<unknown[]>
  close(): void
}

type Target = {
  readonly url: string
  readonly bearer: string
  readonly lastEventId?: string | undefined
  /** Otherwise beats are left out: they come whenever a runtime likes. */
  readonly withBeats?: boolean
}

/** Connects; `response` tells whether there is a stream. */
export async function openEventStream(target: Target): Promise<EventStreamClient> {
  const leaving = new AbortController()
  const headers = new Headers({
    authorization: `Bearer ${target.bearer}`,
    accept: 'text/event-stream',
  })
  if (target.lastEventId !== undefined) headers.set('last-event-id', target.lastEventId)
  const response = await fetch(target.url, { headers, signal: leaving.signal })
  const frames: StreamFrame[] = []
  let ended = false
  void collect(response, (frame) => {
    if (target.withBeats === true || !isBeat(frame)) frames.push(frame)
  })
    // A stream that was cut has ended as well.
    .catch(() => undefined)
    .finally(() => {
      ended = true
    })
  const types = (): unknown[] => frames.flatMap(({ data }) => typeOf(data))
  return {
    response,
    frames,
    types,
    lastId: () => frames.findLast(({ id }) => id !== undefined)?.id,
    hasEnded: () => ended,
    until: (count) => eventually(() => types().length >= count && types()),
    close: () => leaving.abort(),
  }
}

function typeOf(data: unknown): unknown[] {
  return typeof data === 'object' && data !== null && 'type' in data ? [data.type] : []
}

function isBeat({ data }: StreamFrame): boolean {
  return typeOf(data).includes('WORKSPACE_HEARTBEAT')
}

async function collect(response: Response, take: (frame: StreamFrame) => void): Promise<void> {
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const parts = (text + chunk).split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) take(parseFrame(part))
  }
}

function parseFrame(block: string): StreamFrame {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2)
  const data = field('data')
  return {
    id: field('id'),
    event: field('event'),
    comment: field(''),
    data: data === undefined ? undefined : JSON.parse(data),
  }
}
