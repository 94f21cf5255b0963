/**
 * @module Requests to a platform that comes and goes: repeated until it answers, with one word when it
 * is away and one when it is back. Only what waiting cannot mend ends the connection.
 */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformClient, PlatformRequest } from '../http/platform-client.ts'
import { formatSeconds } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { Backoff } from './backoff.ts'

export type TokenSource = {
  current(): Secret
  /** Reads it again where it came from; whether it is another one than the one that was refused. */
  refresh(refused: Secret): Promise<boolean>
}

export type LinkDeps = {
  readonly client: PlatformClient
  readonly terminal: Terminal
  readonly clock: Clock
  readonly ids: Ids
  readonly token: TokenSource
}

export type Persistence = {
  /** Ends the waiting, and the request itself when it is one that may be cut short. */
  readonly signal: AbortSignal
  readonly isRequestCutShort?: boolean
  /** Failures that are not the platform's own: how long they are waited out. */
  readonly patienceMs?: number
}

export class PlatformLink {
  readonly #deps: LinkDeps
  #isAway = false

  constructor(deps: LinkDeps) {
    this.#deps = deps
  }

  /**
   * The JSON of a 2xx answer, however long it takes to get one. Throws exit 4 when the token is not
   * accepted any more, what the platform refuses for good, and exit 5 when `signal` ends the waiting
   * or the patience is over.
   */
  async json(wanted: PlatformRequest, persistence: Persistence): Promise<unknown> {
    const backoff = new Backoff(this.#deps)
    const patience = new Patience(persistence.patienceMs)
    for (;;) {
      try {
        const answer = await this.#once(wanted, persistence)
        this.#back()
        return answer
      } catch (thrown) {
        const failure = this.#repeatable(thrown)
        const waitMs = backoff.nextMs((failure.facts.retryAfterSeconds ?? 0) * 1000)
        if (persistence.signal.aborted) throw failure
        const nowMs = this.#deps.clock.now().getTime()
        if (patience.isOver(failure, { nowMs, waitMs })) throw failure
        this.#away(failure, waitMs)
        await this.#pause(waitMs, persistence.signal)
      }
    }
  }

  async #once(wanted: PlatformRequest, persistence: Persistence): Promise<unknown> {
    const { client, token } = this.#deps
    const send = (bearer: Secret): Promise<unknown> =>
      client.json({
        ...wanted,
        bearer,
        ...(persistence.isRequestCutShort === true ? { signal: persistence.signal } : {}),
      })
    const presented = token.current()
    try {
      return await send(presented)
    } catch (thrown) {
      if (!(thrown instanceof CliFailure) || thrown.facts.status !== 401) throw thrown
      if (await token.refresh(presented)) return await send(token.current())
      throw thrown
    }
  }

  /** The failure, when asking again may help; throws it otherwise. */
  #repeatable(thrown: unknown): CliFailure {
    if (!(thrown instanceof CliFailure)) throw thrown
    const { status = 0, retryable } = thrown.facts
    if (status === 401) {
      throw new CliFailure(EXIT.auth, 'the platform does not accept the workspace token any more', {
        ...thrown.facts,
        hint: 'it was revoked, or the workspace was removed; get a new one and start again',
      })
    }
    // A defect of the platform (500) may be gone with its next version.
    const isPlatformTrouble = retryable === true || status >= 500 || status === 429
    if (thrown.exitCode !== EXIT.unreachable && !isPlatformTrouble) throw thrown
    return thrown
  }

  #away(failure: CliFailure, waitMs: number): void {
    if (this.#isAway) return
    this.#isAway = true
    const { terminal } = this.#deps
    terminal.notice(`${failure.message}; trying again in ${formatSeconds(waitMs / 1000)}, and on`)
    terminal.jsonLine({ type: 'away', error: failure.message })
  }

  #back(): void {
    if (!this.#isAway) return
    this.#isAway = false
    this.#deps.terminal.notice('the platform answers again')
    this.#deps.terminal.jsonLine({ type: 'back' })
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.clock.sleep(ms, signal)
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    }
  }
}

/** Counts from the first refusal on, and anew after each absence: nobody was asked meanwhile. */
class Patience {
  readonly #limitMs: number
  #refusedSinceMs: number | undefined

  constructor(limitMs = Number.POSITIVE_INFINITY) {
    this.#limitMs = limitMs
  }

  isOver(failure: CliFailure, { nowMs, waitMs }: { nowMs: number; waitMs: number }): boolean {
    this.#refusedSinceMs = isAbsence(failure) ? undefined : (this.#refusedSinceMs ?? nowMs)
    if (this.#refusedSinceMs === undefined) return false
    return nowMs - this.#refusedSinceMs + waitMs > this.#limitMs
  }
}

const ABSENT = new Set(['platform_unavailable', 'shutting_down', 'rate_limit_exceeded'])

/** Whether it says nothing about the request itself: nobody answered, or somebody in between did. */
function isAbsence({ facts }: CliFailure): boolean {
  return facts.code === undefined || ABSENT.has(facts.code)
}
