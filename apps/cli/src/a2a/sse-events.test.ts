import { describe, expect, it } from 'vitest'
import { sseEvents } from './sse-events.ts'

async function* pieces(...given: (string | Uint8Array)[]) {
  for (const piece of given) {
    yield typeof piece === 'string' ? Buffer.from(piece) : piece
  }
}

async function collect(...given: (string | Uint8Array)[]): Promise<string[]> {
  const events: string[] = []
  for await (const data of sseEvents(pieces(...given))) events.push(data)
  return events
}

describe('sseEvents', () => {
  it('reads events with every kind of line end', async () => {
    expect(await collect('data: a\n\ndata: b\r\n\r\ndata: c\r\rdata:d\n\n')).toEqual([
      'a',
      'b',
      'c',
      'd',
    ])
  })

  it('joins the data lines of one event', async () => {
    expect(await collect('data: {\ndata: "a":1}\n\n')).toEqual(['{\n"a":1}'])
  })

  it('skips comments, ids, names and events without data', async () => {
    expect(await collect(': ping\n\nevent: x\nid: 7\ndata: a\nretry: 5\n\n\n\n')).toEqual(['a'])
  })

  it('does not care where the pieces are cut', async () => {
    const bytes = Buffer.from('data: grüße 👋\r\n\r\ndata: b\r\n\r\n')
    const single = [...bytes].map((byte) => Buffer.from([byte]))
    expect(await collect(...single)).toEqual(['grüße 👋', 'b'])
  })

  it('drops an event that no blank line ends', async () => {
    expect(await collect('data: a\n\ndata: half')).toEqual(['a'])
  })

  it('refuses an event without end', async () => {
    const megabyte = 'x'.repeat(1024 * 1024)
    await expect(collect('data: ', ...Array.from({ length: 17 }, () => megabyte))).rejects.toThrow(
      'too large',
    )
  })
})
