/**
 * @module Where a request comes from. The TCP peer (contract/platform 1.0), unless that is a proxy
 * which the operator named: then the last address that no such proxy has written (wart W35).
 */
import type { Context } from 'hono'
import { addressSet, canonicalAddress } from '../../domain/ip-address.ts'
import type { AppEnv } from '../env.ts'

export type ClientAddress = <E extends AppEnv>(c: Context<E>) => string

/** Longer chains are nobody's honest proxies. */
const MAX_HOPS = 20

/** `trustedProxies` holds addresses and CIDR ranges that `isAddressRange` accepts. */
export function clientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = addressSet(trustedProxies)
  return (c) => {
    const peer = canonicalAddress(c.env.incoming?.socket?.remoteAddress ?? '')
    if (peer === undefined) return 'unknown'
    const forwarded = c.req.header('x-forwarded-for')
    if (forwarded === undefined || !isTrusted(peer)) return peer
    return lastUntrusted(forwarded.split(',').slice(-MAX_HOPS), peer, isTrusted)
  }
}

/** From the right: every hop was added by the one after it, and is worth what that one is. */
function lastUntrusted(
  hops: readonly string[],
  peer: string,
  isTrusted: (address: string) => boolean,
): string {
  let client = peer
  for (const hop of hops.toReversed()) {
    const address = canonicalAddress(withoutPort(hop.trim()))
    // What is no address was written by nobody that we trust.
    if (address === undefined) return client
    client = address
    if (!isTrusted(address)) return client
  }
  return client
}

function withoutPort(text: string): string {
  return /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}
