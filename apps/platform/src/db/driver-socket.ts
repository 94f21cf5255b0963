/**
 * @module Sockets for the driver (postgres 3.4.9), plain or with TLS, that fail as it understands it.
 * One at which the other side hangs up has failed: the driver takes a polite end before it is ready
 * for no failure, dials again at once and for ever, and whoever asked is never answered. And what has
 * failed is closed in the same breath: between an error and the end of its connection the driver goes
 * on handing queries to it, which then wait for ever, or are answered with what the next connection
 * says first, or with the answer to another query.
 */
import { once } from 'node:events'
import { isIP, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export const CONNECT_TIMEOUT_MS = 10_000

/** What the driver has made of a URL. */
export type Target = {
  readonly host: readonly string[]
  readonly port: readonly number[]
  /** Of a Unix socket. */
  readonly path: string | false
}

/** What a URL says of TLS, in the driver's words: any other mode than these checks the certificate. */
export type TlsWish = { readonly mode: string; readonly isDirect: boolean }

/** Encrypted, but with whom is not looked at. */
const UNCHECKED_MODES: ReadonlySet<string> = new Set(['allow', 'prefer', 'require'])

/** PostgreSQL's protocol 55.2.10: eight bytes of length, answered with one letter, before anything else. */
const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const TLS_GRANTED = 'S'

/** Written to before it is connected, as a socket may be; the driver hears when it cannot be. */
export function dial(target: Target): Socket {
  return guarded(connecting(target))
}

/**
 * A connection over which TLS has begun. Never rejects: the driver would keep a place for it for ever.
 * It gets a socket that fails. `stopping` ends what the driver, which has been ended, forgets.
 */
export async function dialTls(
  target: Target,
  { mode, isDirect }: TlsWish,
  stopping: AbortSignal,
): Promise<Socket> {
  const plain = connecting(target)
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(CONNECT_TIMEOUT_MS)])
  try {
    const isGranted = isDirect || (await asksForTls(plain, signal))
    if (!isGranted && mode !== 'prefer') throw failure('the database offers no TLS', 'ECONNREFUSED')
    if (!isGranted) return guarded(plain)
    const [host = 'localhost'] = target.host
    const socket = connectTls({
      // The name in its certificate is compared with that of the host also where it is an address.
      ...{ socket: plain, host, ...(isIP(host) === 0 ? { servername: host } : {}) },
      rejectUnauthorized: !UNCHECKED_MODES.has(mode),
      ...(isDirect ? { ALPNProtocols: ['postgresql'] } : {}),
    })
    plain.on('error', (error) => socket.destroy(error))
    return guarded(socket)
  } catch (error) {
    plain.destroy()
    return failed(signal.aborted ? failure('no TLS with the database', 'ETIMEDOUT') : error)
  }
}

function connecting({ host: [host = 'localhost'], port: [port = 5432], path }: Target): Socket {
  return path === false ? new Socket().connect(port, host) : new Socket().connect(path)
}

async function asksForTls(plain: Socket, signal: AbortSignal): Promise<boolean> {
  plain.write(TLS_REQUEST)
  // Also rejects at an error; a polite end would leave it waiting.
  const hangsUp = () => plain.destroy(hungUp())
  plain.once('end', hangsUp)
  const [answer]: unknown[] = await once(plain, 'data', { signal })
  plain.off('end', hangsUp)
  const said = String(answer)
  // Whatever came with it, before it was encrypted, is nothing that the database has said.
  if (said.length !== 1) throw failure('more than an answer to the question for TLS', 'ECONNRESET')
  return said === TLS_GRANTED
}

/** The ends of those that have failed, of which the driver has not heard. */
const failing = new Set<() => void>()

/**
 * An error is told with the end, when what the driver has put off to the end of the turn is written:
 * left over, that would be the beginning of what it says to the next connection. All that have
 * failed by then are told of at once, before anybody who hears of one asks again at another.
 */
function guarded(socket: Socket): Socket {
  const emit = socket.emit.bind(socket)
  let failed: { readonly error: unknown } | undefined
  // The driver listens to it no more then: its own end, if that is still to come, tells nobody.
  const end = (): void => {
    failing.delete(end)
    emit('error', failed?.error)
    emit('close', true)
  }
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === 'error') {
      failed = { error: args[0] }
      failing.add(end)
      return true
    }
    if (event !== 'close' || failed === undefined) return emit(event, ...args)
    for (const each of failing) each()
    return true
  }
  socket.once('end', () => socket.destroy(hungUp()))
  return socket
}

/** One that fails as soon as the driver listens to it. */
function failed(error: unknown): Socket {
  const socket = guarded(new Socket())
  setImmediate(() => socket.destroy(error instanceof Error ? error : new Error(String(error))))
  return socket
}

function hungUp(): Error {
  return failure('the database hung up', 'ECONNRESET')
}

function failure(message: string, code: string): Error {
  return Object.assign(new Error(message), { code })
}
