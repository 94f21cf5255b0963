/**
 * @module The limiter (contract/platform 1.0 stage 4), and whom it counts for (ADR-0021): an address,
 * except that a workspace which has shown a live token is counted by that token. Thousands of them
 * may stand behind one address, and each beats twice a minute.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential, sha256 } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import type { Context, MiddlewareHandler } from 'hono'
import { FixedWindows, type Take } from '../../domain/fixed-windows.ts'
import { addressKey } from '../../domain/ip-address.ts'
import type { AppEnv } from '../env.ts'
import type { ClientAddress } from './client-address.ts'

const WINDOW_MS = 60_000
const MAX_KEYS = 50_000
const MAX_KNOWN_BEARERS = 20_000

/** A neighbour's traffic must not make an orchestrator believe that this process is ill. */
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready'])
const BEATS: ReadonlySet<string> = new Set(['/registry/register', '/registry/heartbeat'])

export type RateLimitOptions = {
  readonly limit: number
  readonly clock: Clock
  readonly clientAddress: ClientAddress
  /** Open development has no limit (contract/platform 3.6). */
  readonly isUnlimited: boolean
}

export function rateLimit(options: RateLimitOptions): MiddlewareHandler<AppEnv> {
  const windows = new FixedWindows({ limit: options.limit, windowMs: WINDOW_MS, maxKeys: MAX_KEYS })
  const known = new KnownBearers()
  return async function limitRate(c, next) {
    if (options.isUnlimited) {
      c.env.outgoing?.setHeader('X-RateLimit-Limit', 'unlimited')
      return next()
    }
    const now = options.clock.now().getTime()
    const bucket = bucketOf(c, options.clientAddress, known)
    const take = bucket.isDeferred ? windows.peek(bucket.key, now) : windows.take(bucket.key, now)
    announce(c, options.limit, take)
    if (!take.isAllowed) throw rateLimitExceeded(take)
    await next()
    settle(c, { bucket, windows, known, now: options.clock.now().getTime() })
  }
}

type Bucket = {
  readonly key: string
  /** Counted only when it was refused: what is accepted there has shown whose it is. */
  readonly isDeferred: boolean
  /** Who presents a bearer from where; undefined without one. */
  readonly holder: string | undefined
}

function bucketOf(c: Context<AppEnv>, addressOf: ClientAddress, known: KnownBearers): Bucket {
  const address = addressKey(addressOf(c))
  const bearer = bearerCredential(c.req.header('authorization'))
  const holder = bearer && `holder ${address} ${sha256(bearer).toString('base64url')}`
  if (holder !== undefined && known.has(holder)) return { key: holder, isDeferred: false, holder }
  if (PROBES.has(c.req.path)) return { key: `probe ${address}`, isDeferred: false, holder }
  if (holder !== undefined && BEATS.has(c.req.path)) {
    return { key: `refused beat ${address}`, isDeferred: true, holder }
  }
  return { key: `address ${address}`, isDeferred: false, holder }
}

/** Whose the request was is known only now. */
function settle(
  c: Context<AppEnv>,
  state: {
    readonly bucket: Bucket
    readonly windows: FixedWindows
    readonly known: KnownBearers
    readonly now: number
  },
): void {
  const { bucket, windows, known, now } = state
  const { key, holder, isDeferred } = bucket
  const status = statusOf(c)
  const isBeat = BEATS.has(c.req.path) && status < 300
  const isWorkspace = isBeat || c.get('caller')?.kind === 'workspace'
  if (holder === undefined) return
  if (key === holder) {
    if (status === 401) known.forget(holder)
    return
  }
  if (isWorkspace && status !== 401) {
    known.add(holder)
    if (!isDeferred) windows.giveBack(key, now)
    windows.take(holder, now)
  } else if (isDeferred) {
    windows.take(key, now)
  }
}

/** Raw exchanges have written their own head. */
function statusOf(c: Context<AppEnv>): number {
  const outgoing = c.env.outgoing
  return outgoing?.headersSent === true ? outgoing.statusCode : c.res.status
}

function announce(c: Context<AppEnv>, limit: number, take: Take): void {
  const outgoing = c.env.outgoing
  outgoing?.setHeader('X-RateLimit-Limit', String(limit))
  outgoing?.setHeader('X-RateLimit-Remaining', String(take.remaining))
  outgoing?.setHeader('X-RateLimit-Reset', String(take.resetSeconds))
}

const MINT_WINDOW_MS = 60 * WINDOW_MS
const MINTS_PER_WINDOW = 10

/** Of organisation tokens ten an hour and address (contract/platform 3.3), in open development any. */
export function orgTokenMintLimit(
  deps: { readonly clock: Clock; readonly isAdminScopeOpen: boolean },
  addressOf: ClientAddress,
): (c: Context<AppEnv>) => void {
  const windows = new FixedWindows({
    limit: MINTS_PER_WINDOW,
    windowMs: MINT_WINDOW_MS,
    maxKeys: MAX_KEYS,
  })
  return (c) => {
    if (deps.isAdminScopeOpen) return
    const take = windows.take(addressKey(addressOf(c)), deps.clock.now().getTime())
    if (!take.isAllowed) throw rateLimitExceeded(take)
  }
}

/** The contract's answer, with the seconds that it takes. */
function rateLimitExceeded({ resetSeconds }: Take): AppError {
  return new AppError('rate_limit_exceeded', {
    headers: { 'Retry-After': String(resetSeconds) },
    extensions: { retry_after: resetSeconds, retry_after_seconds: resetSeconds },
  })
}

/** Bearers that have lately been a workspace's: digests, as many as fit, the oldest first to go. */
class KnownBearers {
  readonly #holders = new Set<string>()

  has(holder: string): boolean {
    return this.#holders.has(holder)
  }

  add(holder: string): void {
    for (const oldest of this.#holders) {
      if (this.#holders.size < MAX_KNOWN_BEARERS) break
      this.#holders.delete(oldest)
    }
    this.#holders.add(holder)
  }

  forget(holder: string): void {
    this.#holders.delete(holder)
  }
}
