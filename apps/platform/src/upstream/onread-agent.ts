/**
 * @module Connections that read into one reused buffer each (design/performance 1): libuv would
 * allocate 64 KiB for every read, this keeps one cache-hot buffer and needs a quarter of the reads.
 */
import { Agent, type ClientRequestArgs } from 'node:http'
import { Socket } from 'node:net'

/** Measured best on loopback; also what one stream may hold in memory. */
const READ_BUFFER_BYTES = 256 * 1024
/** Names and values together; a runtime of ours sends less than 1 KiB. */
export const MAX_HEAD_BYTES = 16 * 1024
const HEAD_END = '\r\n\r\n'

type Head = { text: string; readonly onHead: (head: string) => void }

/**
 * A socket that cannot read while it is held. Node restarts reading from several places of its own
 * (`IncomingMessage._read` among them), and a read while a slice of the buffer is still on its way
 * to the client would overwrite it; so the rule stands here, where every one of them passes.
 */
export class OnreadSocket extends Socket {
  #isHeld: () => boolean = () => false
  #head: Head | undefined
  #sink: ((slice: Buffer) => void) | undefined

  /** An unconnected socket with a buffer of its own, `bufferBytes` long. */
  static create(bufferBytes = READ_BUFFER_BYTES): OnreadSocket {
    const buffer = Buffer.allocUnsafeSlow(bufferBytes)
    const socket: OnreadSocket = new OnreadSocket({
      onread: {
        buffer,
        callback: (bytesRead) => socket.#deliver(buffer.subarray(0, bytesRead)),
      },
    })
    return socket
  }

  /** From now on nothing is read while `isHeld()`; who holds calls `resume()` when it is over. */
  holdWhile(isHeld: () => boolean): void {
    this.#isHeld = isHeld
  }

  /**
   * Cuts what arrives at the end of each head, so that `divert` comes before a body's first byte.
   * `onHead` is given each head as latin1 text before the parser sees its end.
   */
  awaitHead(onHead: (head: string) => void): void {
    this.#head = { text: '', onHead }
    this.#sink = undefined
  }

  /** From now on everything goes to the parser. */
  feedParser(): void {
    this.#head = undefined
  }

  /** From now on the parser is passed by: `sink` is given every slice, and holds the next. */
  divert(sink: (slice: Buffer) => void): void {
    this.#head = undefined
    this.#sink = sink
  }

  override resume(): this {
    return this.#isHeld() ? this : super.resume()
  }

  // biome-ignore lint/suspicious/noExplicitAny: the signature of Readable.read
  override read(size?: number): any {
    return this.#isHeld() ? null : super.read(size)
  }

  /** The result says whether libuv may go on reading. */
  #deliver(slice: Buffer): boolean {
    let rest = slice
    while (this.#head !== undefined && rest.length > 0 && !this.destroyed) {
      const length = this.#headLength(this.#head, rest)
      this.emit('data', rest.subarray(0, length))
      rest = rest.subarray(length)
    }
    if (rest.length > 0 && !this.destroyed) {
      if (this.#sink === undefined) this.emit('data', rest)
      else this.#sink(rest)
    }
    return !this.#isHeld()
  }

  /** How many bytes of `bytes` belong to the head that is being received; calls `onHead` at its end. */
  #headLength(head: Head, bytes: Buffer): number {
    const before = head.text.length
    // One byte is one character: positions in the text are positions in the bytes.
    head.text += bytes.toString('latin1', 0, MAX_HEAD_BYTES)
    const end = head.text.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1))
    if (end === -1) {
      // The parser refuses such a head as soon as it has seen this much of it.
      if (head.text.length >= MAX_HEAD_BYTES) this.#head = undefined
      return bytes.length
    }
    const text = head.text.slice(0, end + HEAD_END.length)
    // An interim response is followed by another head.
    head.text = ''
    head.onHead(text)
    return text.length - before
  }
}

/** An `http.Agent` whose connections are `OnreadSocket`s. */
export class OnreadAgent extends Agent {
  override createConnection(options: ClientRequestArgs): Socket {
    const { host, port, lookup } = options
    const socket = OnreadSocket.create()
    socket.setNoDelay(true)
    return socket.connect({
      host: host ?? 'localhost',
      port: Number(port),
      ...(lookup === undefined ? {} : { lookup }),
    })
  }
}
