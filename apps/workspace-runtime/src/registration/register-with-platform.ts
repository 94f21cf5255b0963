/** @module The runtime announces itself until the platform accepts it (contract/runtime 7.1, 22 #10). */
import type { Clock } from '@atrium/http-kit/clock'
import { type RegisterRequest, registerResponse } from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import { describeCallFailure, type PlatformAnswer, type PlatformClient } from './platform-client.ts'

const REGISTER_PATH = '/registry/register'
const FIRST_WAIT_MS = 1_000
const SLOWEST_WAIT_MS = 30_000
const RETRY_AFTER_CAP_MS = 300_000

/** Where a credential that the platform hands out is kept. */
export type CredentialStore = { current(): string | undefined; save(value: string): void }

export type RegisterDeps = {
  readonly client: PlatformClient
  readonly clock: Clock
  readonly log: Logger
  /** Uniform in [0, 1): spreads the retries of many workspaces after a platform restart. */
  readonly random: () => number
  readonly authToken: CredentialStore
  readonly inboundSecret: CredentialStore
  /** The body to send, built anew for every attempt. */
  readonly registration: () => RegisterRequest | Promise<RegisterRequest>
}

/**
 * Registers and resolves when the platform accepted; retries for ever otherwise, 1 s doubling to
 * 30 s with jitter, never sooner than `Retry-After` asks. Both credentials of the answer are saved
 * before it resolves. Rejects only with the signal's reason.
 */
export async function registerWithPlatform(deps: RegisterDeps, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await tryOnce(deps, signal)
    if (outcome.isAccepted) {
      deps.log.info({ attempt }, 'registration.accepted')
      return
    }
    const waitMs = waitBefore(attempt, outcome, deps.random())
    const level = outcome.isRefusal ? 'error' : 'warn'
    deps.log[level](
      { attempt, status: outcome.status, reason: outcome.reason, wait_ms: waitMs },
      'registration.retry',
    )
    await deps.clock.sleep(waitMs, signal)
  }
}

type Outcome = {
  readonly isAccepted: boolean
  /** The platform understood and said no: asking often will not change its mind. */
  readonly isRefusal: boolean
  readonly status?: number
  readonly reason?: string
  readonly retryAfterMs?: number | undefined
}

async function tryOnce(deps: RegisterDeps, signal: AbortSignal): Promise<Outcome> {
  let answer: PlatformAnswer
  try {
    answer = await deps.client.post(REGISTER_PATH, await deps.registration(), signal)
  } catch (error) {
    signal.throwIfAborted()
    return { isAccepted: false, isRefusal: false, reason: describeCallFailure(error) }
  }
  const { status, retryAfterMs } = answer
  if (status < 200 || status > 299) {
    const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429
    return { isAccepted: false, isRefusal, status, retryAfterMs }
  }
  const parsed = registerResponse.safeParse(answer.body)
  if (!parsed.success) {
    return { isAccepted: false, isRefusal: false, status, reason: 'unreadable answer' }
  }
  try {
    keep(deps, parsed.data)
  } catch (error) {
    // A token is handed out once only; the platform must be asked again while it cannot be kept.
    return { isAccepted: false, isRefusal: true, reason: describeCallFailure(error) }
  }
  return { isAccepted: true, isRefusal: false }
}

function keep(
  deps: RegisterDeps,
  answer: {
    readonly auth_token?: string | undefined
    readonly platform_inbound_secret?: string | undefined
  },
): void {
  if (answer.auth_token !== undefined) deps.authToken.save(answer.auth_token)
  if (answer.platform_inbound_secret !== undefined) {
    deps.inboundSecret.save(answer.platform_inbound_secret)
  }
}

/** Milliseconds before the next attempt. A wait is shortened by up to a half, never lengthened. */
function waitBefore(attempt: number, outcome: Outcome, random: number): number {
  const doubled = FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 10)
  const base = outcome.isRefusal ? SLOWEST_WAIT_MS : Math.min(doubled, SLOWEST_WAIT_MS)
  const jittered = Math.round(base * (1 - random / 2))
  return Math.max(jittered, Math.min(outcome.retryAfterMs ?? 0, RETRY_AFTER_CAP_MS))
}
