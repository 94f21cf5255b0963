/**
 * @module The inbound secret that the workspace holds and, for a bounded time after a change, the
 * one it held before: a platform that is still presenting the former finds the door open (ADR-0024).
 */
import { join } from 'node:path'
import { credentialId } from '@atrium/http-kit/bearer'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { FORMER_INBOUND_SECRET_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import type { Logger } from 'pino'
import { z } from 'zod'
import { CredentialFile, type CredentialFileDeps } from './credential-file.ts'

/** After the platform has noted the new one: for what was on its way with the former. */
const DRAIN_MS = 60_000

/**
 * The successor binds it to the change it belongs to: a file that an earlier box, or a change that
 * never came to be, has left beside another secret opens nothing.
 */
const formerSecret = z.object({
  value: z.string().min(1),
  successor_id: z.string(),
  expires_at_ms: z.number(),
})
type Former = z.infer<typeof formerSecret>

export type InboundSecretDeps = CredentialFileDeps & {
  readonly log: Logger
  /** How long the former is accepted when nobody says that it has served its time. */
  readonly graceMs: number
  /** Another secret is there now: the platform waits to be told. */
  readonly onChange: () => void
}

export class InboundSecretStore {
  readonly #file: CredentialFile
  readonly #formerFile: CredentialFile
  readonly #deps: InboundSecretDeps
  #lastSeen: string | undefined
  #former: Former | undefined

  /** Both files are in `directory`; what they hold is read now. */
  constructor(directory: string, deps: InboundSecretDeps) {
    this.#deps = deps
    this.#file = new CredentialFile(join(directory, INBOUND_SECRET_FILE), deps)
    this.#formerFile = new CredentialFile(join(directory, FORMER_INBOUND_SECRET_FILE), deps)
    this.#lastSeen = this.#file.current()
    this.#former = this.#readFormer()
  }

  /** The secret as its file holds it now, whoever put it there; undefined while there is none. */
  current(): string | undefined {
    const value = this.#file.current()
    if (value !== undefined && value !== this.#lastSeen) this.#onChange(value)
    return value
  }

  /** All that the platform may present, the current one first. None without a current one. */
  accepted(): readonly string[] {
    const current = this.current()
    if (current === undefined) return []
    this.#dropExpired()
    return this.#former === undefined ? [current] : [current, this.#former.value]
  }

  /** Replaces the secret. Throws the file system's error. */
  save(value: string): void {
    // Whatever lies there becomes the former, also when nobody has looked since it came.
    this.current()
    this.#file.save(value)
    this.current()
  }

  /** The platform knows that the current one has arrived and presents no other any more. */
  retireFormer(): void {
    this.#dropExpired()
    if (this.#former === undefined) return
    const drainedAtMs = this.#nowMs() + DRAIN_MS
    if (drainedAtMs >= this.#former.expires_at_ms) return
    this.#former = { ...this.#former, expires_at_ms: drainedAtMs }
  }

  #onChange(value: string): void {
    const former = this.#lastSeen
    this.#lastSeen = value
    if (former === undefined) return
    this.#former = {
      value: former,
      successor_id: credentialId(value),
      expires_at_ms: this.#nowMs() + this.#deps.graceMs,
    }
    this.#deps.log.info('inbound_secret.changed')
    this.#attempt('inbound_secret.former_not_kept', () =>
      this.#formerFile.save(JSON.stringify(this.#former)),
    )
    this.#deps.onChange()
  }

  /** What a restart finds; the clock may have been set back meanwhile. */
  #readFormer(): Former | undefined {
    const text = this.#formerFile.current()
    if (text === undefined) return undefined
    const former = parseFormer(text)
    const current = this.#lastSeen
    const isItsTime = former !== undefined && former.expires_at_ms > this.#nowMs()
    if (isItsTime && current !== undefined && former.successor_id === credentialId(current)) {
      const latestMs = this.#nowMs() + this.#deps.graceMs
      return { ...former, expires_at_ms: Math.min(former.expires_at_ms, latestMs) }
    }
    this.#forget()
    return undefined
  }

  #dropExpired(): void {
    if (this.#former === undefined || this.#former.expires_at_ms > this.#nowMs()) return
    this.#former = undefined
    this.#forget()
    this.#deps.log.info('inbound_secret.former_retired')
  }

  #forget(): void {
    this.#attempt('inbound_secret.former_not_removed', () => this.#formerFile.remove())
  }

  /** Best effort: on a full disk a change still counts, and only a restart would forget the former. */
  #attempt(event: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#deps.log.warn({ reason: errorCodeOf(error) ?? 'unknown error' }, event)
    }
  }

  #nowMs(): number {
    return this.#deps.clock.now().getTime()
  }
}

function parseFormer(text: string): Former | undefined {
  try {
    return formerSecret.safeParse(JSON.parse(text)).data
  } catch {
    // Not JSON is no former secret: it opens nothing, and goes.
    return undefined
  }
}
