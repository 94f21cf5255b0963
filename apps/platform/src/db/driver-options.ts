/** @module What every connection of the driver is given: patience, and sockets of ours (ADR-0031). */
import { CONNECT_TIMEOUT_MS, dial, dialTls, type Target, type TlsWish } from './driver-socket.ts'

/** Options for `postgres(url, ...)`; the caller adds how many and how patient, and ends with `stopping`. */
export function driverOptions(url: string, stopping: AbortSignal) {
  return {
    connect_timeout: CONNECT_TIMEOUT_MS / 1_000,
    fetch_types: false,
    // Notices carry no decision; errors arrive as exceptions.
    onnotice: () => undefined,
    // Which of several hosts comes next is the driver's own affair.
    ...(namesSeveralHosts(url) ? {} : socketOptions(url, stopping)),
  }
}

function socketOptions(url: string, stopping: AbortSignal) {
  const wish = tlsWish(url)
  if (wish === undefined) return { socket: dial }
  // Or the driver would make a second connection with TLS inside of ours.
  return { ssl: false, socket: (target: Target) => dialTls(target, wish, stopping) }
}

/** undefined: in the clear. */
function tlsWish(url: string): TlsWish | undefined {
  const query = URL.parse(url)?.searchParams
  const isVerified = query?.get('sslrootcert') === 'system'
  const mode = isVerified ? 'verify-full' : (query?.get('sslmode') ?? query?.get('ssl'))
  if (mode == null || mode === 'disable' || mode === 'false') return undefined
  return { mode, isDirect: query?.get('sslnegotiation') === 'direct' }
}

function namesSeveralHosts(url: string): boolean {
  return /^[^/]*\/\/[^/?#]*,/.test(url)
}
