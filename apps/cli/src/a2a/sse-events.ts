/** @module Server-sent events of a `message/stream` answer (WHATWG HTML 9.2.6). */
import { StringDecoder } from 'node:string_decoder'

const MAX_EVENT_CHARS = 16 * 1024 * 1024

// A lone CR at the end may be half of CR LF: it stays for the next piece.
const LINE_END = /\r\n|\n|\r(?!$)/

/** The `data` lines of the event that is being received. */
class EventBuffer {
  #data: string[] = []
  chars = 0

  /** Takes one line; returns the data of an event that it completes. */
  take(line: string): string | undefined {
    if (line === '') {
      const finished = this.#data.length === 0 ? undefined : this.#data.join('\n')
      this.#data = []
      this.chars = 0
      return finished
    }
    if (line.startsWith('data:')) {
      const value = line.slice(line.startsWith('data: ') ? 6 : 5)
      this.#data.push(value)
      this.chars += value.length
    }
    return undefined
  }
}

/**
 * The `data` of each event, in order. Comments (keep-alives) and other fields are skipped; an event
 * that no blank line ends is dropped, as the standard says. Throws when one event grows beyond
 * 16 Mi characters.
 */
export async function* sseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  const event = new EventBuffer()
  let rest = ''
  for await (const piece of body) {
    const lines = (rest + decoder.write(Buffer.from(piece))).split(LINE_END)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const data = event.take(line)
      if (data !== undefined) yield data
    }
    if (rest.length + event.chars > MAX_EVENT_CHARS) throw new Error('an event is too large')
  }
}
