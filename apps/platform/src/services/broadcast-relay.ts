/**
 * @module Events that are told and not kept, between replicas: in batches over NOTIFY, whose payload
 * is small. Best effort by its nature (contract/platform 9.1, BroadcastOnly): what the database does
 * not carry at the moment is told on this replica only.
 */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import { MAX_NOTIFICATION_BYTES, notifyBroadcast } from '../db/event-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ToldEvent } from '../domain/told-event.ts'
import type { BroadcastEventName, EventPayload } from '../domain/workspace-events.ts'

/** What comes within so long travels together. */
const GATHER_MS = 25
/** More than this waiting for the database is dropped. */
const MAX_WAITING = 2_000

/** What replicas say to each other; one of another version may say more. */
const notification = z.looseObject({
  from: z.string(),
  events: z.array(
    z.looseObject({
      t: z.string(),
      w: z.string(),
      at: z.number(),
      p: z.record(z.string(), z.unknown()),
    }),
  ),
})
type WireEvent = z.output<typeof notification>['events'][number]

export type BroadcastRelayDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Logger
  readonly deliver: (event: ToldEvent) => void
}

export class BroadcastRelay {
  readonly #deps: BroadcastRelayDeps
  /** By it a replica knows what it said itself. */
  readonly #origin: string
  #waiting: string[] = []
  #sending: Promise<void> | undefined
  #isFailing = false

  constructor(deps: BroadcastRelayDeps) {
    this.#deps = deps
    this.#origin = deps.ids.uuid()
  }

  /** Tells followers here at once, and those elsewhere soon. */
  send(event: {
    readonly type: BroadcastEventName
    readonly workspaceId: WorkspaceId
    readonly payload: EventPayload
  }): void {
    const { type: t, workspaceId: w, payload: p } = event
    const at = this.#deps.clock.now().getTime()
    this.#deliver({ t, w, at, p })
    if (this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push(encode({ t, w, at, p }))
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  /** Takes what another replica said; what cannot be read is not ours. */
  receive(payload: string): void {
    const parsed = notification.safeParse(parseJson(payload))
    if (!parsed.success) {
      this.#deps.log.warn('events.broadcast_unreadable')
      return
    }
    if (parsed.data.from === this.#origin) return
    for (const event of parsed.data.events) this.#deliver(event)
  }

  /** Resolves when what waits has been sent, or could not be. */
  async stop(): Promise<void> {
    await this.#sending
  }

  #deliver({ t, w, at, p }: WireEvent): void {
    this.#deps.deliver({
      seq: undefined,
      type: t,
      workspaceId: w,
      timestamp: new Date(at),
      payload: p,
    })
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#deps.clock.sleep(GATHER_MS)
      const message = this.#nextMessage()
      try {
        await notifyBroadcast(this.#deps.db, message)
        this.#isFailing = false
      } catch (error) {
        // Nobody keeps these: said once per outage, and not sent again.
        if (!this.#isFailing) {
          this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'events.broadcast_failed')
        }
        this.#isFailing = true
      }
    }
  }

  /** As many as fit into one notification, taken from those that wait. */
  #nextMessage(): string {
    const head = `{"from":"${this.#origin}","events":[`
    let bytes = Buffer.byteLength(head) + 2
    let count = 0
    for (const event of this.#waiting) {
      bytes += Buffer.byteLength(event) + 1
      if (count > 0 && bytes > MAX_NOTIFICATION_BYTES) break
      count += 1
    }
    return `${head}${this.#waiting.splice(0, count).join(',')}]}`
  }
}

/** Room for the frame of a message around its only event. */
const MAX_EVENT_BYTES = MAX_NOTIFICATION_BYTES - 128

/** One that does not fit says where to look instead: its follower has the id, and the API the rest. */
function encode(event: WireEvent): string {
  const whole = JSON.stringify(event)
  if (Buffer.byteLength(whole) <= MAX_EVENT_BYTES) return whole
  const id = event.p['id']
  const isPointer = typeof id === 'string' && id.length <= 64
  return JSON.stringify({ ...event, p: { ...(isPointer ? { id } : {}), truncated: true } })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not a swallowed failure: undefined does not pass the schema.
    return undefined
  }
}
