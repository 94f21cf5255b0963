/**
 * @module What every connection of the driver is given. One at which the other side hangs up has
 * failed: the driver takes a polite end before it is ready for no failure, dials again at once and
 * for ever, and whoever asked is never answered (postgres 3.4.9). A proxy in front of a database
 * that is away does just that. And what has failed is closed in the same breath: between an error and
 * the end of its connection the driver goes on handing queries to it, which then wait for ever, or are
 * answered with what the next connection says first, or with the answer to another query.
 */
import { Socket } from 'node:net'

const CONNECT_TIMEOUT_SECONDS = 10

/** What the driver has made of a URL. */
type Target = {
  readonly host: readonly string[]
  readonly port: readonly number[]
  /** Of a Unix socket. */
  readonly path: string | false
}

/** Options for `postgres(url, ...)`; the caller adds how many and how patient. */
export function driverOptions(url: string) {
  return {
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    fetch_types: false,
    // Notices carry no decision; errors arrive as exceptions.
    onnotice: () => undefined,
    // Which of several hosts comes next is the driver's own affair.
    ...(namesSeveralHosts(url) ? {} : { socket: dial }),
  }
}

function namesSeveralHosts(url: string): boolean {
  return /^[^/]*\/\/[^/?#]*,/.test(url)
}

/** Have failed, and the driver has not heard of it. */
const failing = new Set<SocketOfDriver>()

class SocketOfDriver extends Socket {
  #failure: unknown

  /**
   * An error is told with the end, when what the driver has put off to the end of the turn is written:
   * left over, that would be the beginning of what it says to the next connection. All that have
   * failed by then are told of at once, before anybody who hears of one asks again at another.
   */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'error') {
      this.#failure = args[0]
      failing.add(this)
      return true
    }
    if (event !== 'close' || this.#failure === undefined) return super.emit(event, ...args)
    for (const socket of failing) socket.#end()
    return true
  }

  /** The driver listens to it no more then: its own end, if that is still to come, tells nobody. */
  #end(): void {
    failing.delete(this)
    super.emit('error', this.#failure)
    super.emit('close', true)
  }
}

/** Written to before it is connected, as a socket may be; the driver hears when it cannot be. */
function dial({ host: [host = 'localhost'], port: [port = 5432], path }: Target): Socket {
  // The driver asks it for the name that a certificate is checked against.
  const socket = Object.assign(new SocketOfDriver(), { host })
  socket.once('end', () => socket.destroy(hungUp()))
  return path === false ? socket.connect(port, host) : socket.connect(path)
}

function hungUp(): Error {
  return Object.assign(new Error('the database hung up'), { code: 'ECONNRESET' })
}
