/**
 * @module Where the world reaches this platform, as far as a request tells (contract/platform 7.2). An
 * agent will send its token there: headers of strangers are no source.
 */
import type { Context } from 'hono'
import { addressSet, canonicalAddress } from '../domain/ip-address.ts'
import type { AppEnv } from './env.ts'

export type PublicUrlDeps = {
  /** What the operator says; then nothing else counts. */
  readonly externalPlatformUrl: string | undefined
  /** How workspaces reach the platform, for a request that names no host. */
  readonly platformUrl: () => string
  /** Proxies that may say what their own client asked for (`ATRIUM_TRUSTED_PROXIES`). */
  readonly trustedProxies: readonly string[]
}

export type PublicUrl = (c: Context<AppEnv>) => string

/** A host, with a port or without; nothing that could end a quoted word or begin a path. */
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/**
 * The operator's address; otherwise what a trusted proxy says it was asked for; otherwise the host that
 * this request was sent to. Without a trailing slash.
 */
export function publicUrl(deps: PublicUrlDeps): PublicUrl {
  const { externalPlatformUrl } = deps
  if (externalPlatformUrl !== undefined) return () => externalPlatformUrl
  const isTrusted = addressSet(deps.trustedProxies)
  return (c) => {
    const peer = canonicalAddress(c.env.incoming?.socket?.remoteAddress ?? '')
    const isForwarded = peer !== undefined && isTrusted(peer)
    // Each hop appends: the last value is the one that our own proxy vouches for.
    const forwarded = (name: string): string | undefined =>
      isForwarded ? c.req.header(name)?.split(',').at(-1)?.trim() : undefined
    const host = forwarded('x-forwarded-host') ?? c.req.header('host') ?? ''
    const scheme = forwarded('x-forwarded-proto') === 'https' ? 'https' : 'http'
    const url = HOST.test(host) ? URL.parse(`${scheme}://${host}`) : null
    return url === null ? deps.platformUrl() : url.origin
  }
}
