/**
 * @module Connections that read into one reused buffer each (design/performance 1): libuv would
 * allocate 64 KiB for every read, this keeps one cache-hot buffer and needs a quarter of the reads.
 */
import { Agent, type ClientRequestArgs } from 'node:http'
import { Socket } from 'node:net'

/** Measured best on loopback; also what one stream may hold in memory. */
const READ_BUFFER_BYTES = 256 * 1024

/**
 * A socket that cannot read while it is held. Node restarts reading from several places of its own
 * (`IncomingMessage._read` among them), and a read while a slice of the buffer is still on its way
 * to the client would overwrite it; so the rule stands here, where every one of them passes.
 */
export class OnreadSocket extends Socket {
  #isHeld: () => boolean = () => false

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

  override resume(): this {
    return this.#isHeld() ? this : super.resume()
  }

  // biome-ignore lint/suspicious/noExplicitAny: the signature of Readable.read
  override read(size?: number): any {
    return this.#isHeld() ? null : super.read(size)
  }

  /** Feeds Node's own HTTP parser; the result says whether libuv may go on reading. */
  #deliver(slice: Buffer): boolean {
    this.emit('data', slice)
    return !this.#isHeld()
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
