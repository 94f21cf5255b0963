/**
 * @module What every connection of the driver is given. One at which the other side hangs up has
 * failed: the driver takes a polite end before it is ready for no failure, dials again at once and
 * for ever, and whoever asked is never answered (postgres 3.4.9). A proxy in front of a database
 * that is away does just that.
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

/** Written to before it is connected, as a socket may be; the driver hears when it cannot be. */
function dial({ host: [host = 'localhost'], port: [port = 5432], path }: Target): Socket {
  // The driver asks it for the name that a certificate is checked against.
  const socket = Object.assign(new Socket(), { host })
  socket.once('end', () => socket.destroy(hungUp()))
  return path === false ? socket.connect(port, host) : socket.connect(path)
}

function hungUp(): Error {
  return Object.assign(new Error('the database hung up'), { code: 'ECONNRESET' })
}
