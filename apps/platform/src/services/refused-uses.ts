/**
 * @module Credentials that let nobody in, for the audit trail: counted in memory per minute, so that
 * whoever tries a million of them writes a few rows.
 */
import type { Logger } from 'pino'
import { insertAuditEvents, type NewAuditRow } from '../db/audit-store.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import type { RefusedAction } from '../domain/audit.ts'
import type { AuditDeps } from './audit-trail.ts'

const MINUTE_MS = 60_000
const FLUSH_EVERY_MS = 15_000
/** Beyond it everything new is counted together: memory is bounded whatever is presented. */
const MAX_TALLIES = 1_000
const OTHER = 'other'

export type RefusedUse = {
  readonly action: RefusedAction
  /** Id of a token that is known here; null for one that is not. Never text of the caller's. */
  readonly subject: string | null
  /** Whose the credential is, where that is known. */
  readonly workspaceId?: string | undefined
  /** What it was presented for: the id of a workspace, or the name of a scope. */
  readonly target?: string | undefined
  readonly requestId?: string | undefined
}

type Tally = { readonly minute: number; readonly row: NewAuditRow; count: number }

export type RefusedUsesDeps = AuditDeps & { readonly log: Logger }

export class RefusedUses {
  readonly #deps: RefusedUsesDeps
  readonly #tallies = new Map<string, Tally>()
  readonly #shutdown = new AbortController()
  #loop: Promise<void> | undefined

  constructor(deps: RefusedUsesDeps) {
    this.#deps = deps
  }

  /** Counts one use. Cheap, and never fails: a refusal is answered whatever the trail does. */
  note(use: RefusedUse): void {
    const minute = this.#minute()
    const key = `${use.action} ${use.subject ?? ''} ${minute}`
    const known = this.#tallies.get(key)
    if (known !== undefined) known.count += 1
    else if (this.#tallies.size < MAX_TALLIES) this.#tallies.set(key, this.#tally(use, minute))
    else this.#noteOther(use.action, minute)
  }

  #noteOther(action: RefusedAction, minute: number): void {
    const key = `${action} ${OTHER}`
    const known = this.#tallies.get(key)
    if (known !== undefined) known.count += 1
    else this.#tallies.set(key, this.#tally({ action, subject: OTHER }, minute))
  }

  #tally(use: RefusedUse, minute: number): Tally {
    const { clock, ids } = this.#deps
    return {
      minute,
      count: 1,
      row: {
        id: ids.uuid(),
        occurredAt: clock.now(),
        action: use.action,
        outcome: 'refused',
        ...actorOf(use),
        workspaceId: use.workspaceId ?? null,
        subject: use.subject,
        detail: use.target === undefined ? null : { first_target: use.target },
        requestId: use.requestId ?? null,
      },
    }
  }

  #minute(): number {
    return Math.floor(this.#deps.clock.now().getTime() / MINUTE_MS)
  }

  /** Writes the minutes that are over, until `stop`. */
  start(): void {
    this.#loop ??= this.#run()
  }

  /** Ends the timer and writes what is left. Idempotent. */
  async stop(): Promise<void> {
    this.#shutdown.abort(new Error('platform is shutting down'))
    await this.#loop
    await this.#flush(Number.POSITIVE_INFINITY)
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps
    const { signal } = this.#shutdown
    while (!signal.aborted) {
      await this.#flush(this.#minute())
      // Rejects only when stopping, which the loop's condition sees.
      await clock.sleep(FLUSH_EVERY_MS, signal).catch(() => undefined)
    }
  }

  /** Writes what was counted before `minute`; what cannot be written is kept for the next pass. */
  async #flush(minute: number): Promise<void> {
    const due = [...this.#tallies].filter(([, tally]) => tally.minute < minute)
    for (const [key] of due) this.#tallies.delete(key)
    try {
      const rows = due.map(([, { row, count }]) => ({ ...row, count }))
      await insertAuditEvents(this.#deps.db, rows)
    } catch (error) {
      this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'audit.flush_failed')
      for (const [key, tally] of due) this.#keep(key, tally)
    }
  }

  #keep(key: string, tally: Tally): void {
    const known = this.#tallies.get(key)
    if (known === undefined) this.#tallies.set(key, tally)
    else known.count += tally.count
  }
}

/** A revoked token proves nothing about who holds it; a live one does. */
function actorOf({ action, workspaceId }: RefusedUse) {
  return action === 'workspace_token.foreign_use' && workspaceId !== undefined
    ? { actorKind: 'workspace', actorId: workspaceId }
    : { actorKind: 'anonymous', actorId: null }
}
