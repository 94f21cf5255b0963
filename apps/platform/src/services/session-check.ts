/**
 * @module Session cookies of people at a browser (contract/platform 3.7): the control plane says whose
 * they are, and is asked once for many requests.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { sha256 } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import type { Operator } from '../domain/caller.ts'
import type { SessionAuthority, SessionVerdict } from '../upstream/session-authority.ts'

const MEMBER_MS = 30_000
const STRANGER_MS = 5_000
const SWEEP_MS = 120_000
const MAX_ENTRIES = 10_000
const EVICTED_AT_ONCE = 128
/** Browsers send no more, and a proxy in front would not let it through. */
const MAX_COOKIE_LENGTH = 16 * 1024

type Entry = { readonly verdict: SessionVerdict; readonly expiresAt: number }

export type SessionCheckDeps = {
  readonly clock: Clock
  readonly authority: Pick<SessionAuthority, 'whose' | 'orgSlug'>
}

export class SessionCheck {
  readonly #deps: SessionCheckDeps
  readonly #entries = new Map<string, Entry>()
  /** Requests that come together ask once. */
  readonly #asking = new Map<string, Promise<SessionVerdict>>()
  #sweptAt = 0

  constructor(deps: SessionCheckDeps) {
    this.#deps = deps
  }

  /** Cookies that are remembered at the moment. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * The operator whose session this is; undefined for nobody's. Throws `session_unverified` when the
   * control plane cannot say: that is neither a yes nor a no, and is not remembered.
   */
  async operatorOf(cookie: string | undefined): Promise<Operator | undefined> {
    if (cookie === undefined || cookie === '' || cookie.length > MAX_COOKIE_LENGTH) return undefined
    const key = sha256(`${this.#deps.authority.orgSlug}\0${cookie}`).toString('base64url')
    const verdict = this.#remembered(key) ?? (await this.#ask(key, cookie))
    if (verdict === 'stranger') return undefined
    return { kind: 'operator', via: 'session', userId: verdict.userId }
  }

  #remembered(key: string): SessionVerdict | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.expiresAt > this.#now() ? entry.verdict : undefined
  }

  #ask(key: string, cookie: string): Promise<SessionVerdict> {
    const known = this.#asking.get(key)
    if (known !== undefined) return known
    const asking = this.#askAuthority(key, cookie).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  async #askAuthority(key: string, cookie: string): Promise<SessionVerdict> {
    try {
      const verdict = await this.#deps.authority.whose(cookie)
      this.#remember(key, verdict)
      return verdict
    } catch (cause) {
      throw new AppError('session_unverified', { cause })
    }
  }

  #remember(key: string, verdict: SessionVerdict): void {
    this.#makeRoom()
    const lifeMs = verdict === 'stranger' ? STRANGER_MS : MEMBER_MS
    this.#entries.delete(key)
    this.#entries.set(key, { verdict, expiresAt: this.#now() + lifeMs })
  }

  #makeRoom(): void {
    const now = this.#now()
    if (now - this.#sweptAt >= SWEEP_MS) {
      this.#sweptAt = now
      for (const [key, { expiresAt }] of this.#entries) {
        if (expiresAt <= now) this.#entries.delete(key)
      }
    }
    if (this.#entries.size < MAX_ENTRIES) return
    // Those that were asked for longest ago.
    for (const key of [...this.#entries.keys()].slice(0, EVICTED_AT_ONCE)) this.#entries.delete(key)
  }

  #now(): number {
    return this.#deps.clock.now().getTime()
  }
}
