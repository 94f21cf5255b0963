/**
 * @module What `atrium connect` knows across its own death. For every message it remembers how far it
 * came: received, answered (with the answer), sent. Each step is on disk before the next one begins,
 * so whatever moment it dies in, no message is lost and no answer is sent twice.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { z } from 'zod'
import { describeThrown, usageFailure } from '../failure.ts'
import { writePrivateFile } from './private-file.ts'

/** Messages before the cursor that are still recognised, should the feed tell of them again. */
const REMEMBERED = 1_000

const attachment = z.object({ uri: z.string(), name: z.string(), mimeType: z.string() })

const pendingReply = z.object({
  /** The workspace that asked; null for a person. */
  to: z.string().nullable(),
  in_reply_to: z.string(),
  context_id: z.string().nullable(),
  /** Under which the platform keeps the message; null: it is an older one. */
  queue_id: z.string().nullable().default(null),
  text: z.string(),
  files: z.array(attachment),
})
/** An answer with everything that sending it takes: its message may be gone from the feed by then. */
export type PendingReply = z.infer<typeof pendingReply>

const openRow = z.discriminatedUnion('state', [
  z.object({ state: z.literal('received'), attempts: z.number().int().positive() }),
  z.object({ state: z.literal('answered'), reply: pendingReply }),
])

const cursor = z.object({ id: z.guid(), at: z.string() })
/** The last row before which everything is finished, and when it was written. */
export type Cursor = z.infer<typeof cursor>

const stateFile = z.object({
  version: z.literal(1),
  platform: z.string(),
  workspace_id: z.string(),
  /** null: from the oldest row that there is. */
  cursor: cursor.nullable(),
  open: z.record(z.string(), openRow),
  finished: z.array(z.string()),
  /** Finished before a row that came earlier: the feed will tell of all of them again. */
  ahead: z.array(z.string()).default([]),
})
type StateFile = z.infer<typeof stateFile>

export type StateIdentity = { readonly platform: string; readonly workspaceId: string }

type Place = { readonly cursor: Cursor; isFinished: boolean }

export class ConnectState {
  /** Whether there was none on disk yet. */
  readonly isNew: boolean
  readonly #path: string
  #state: StateFile
  /** Rows that were fetched and are not before the cursor yet, in the order of the feed. */
  #places: Place[] = []
  #written: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  private constructor(path: string, state: StateFile, isNew: boolean) {
    this.#path = path
    this.#state = state
    this.isNew = isNew
  }

  /** Reads what an earlier run left in `folder`. Throws a usage failure when it cannot be read. */
  static async open(folder: string, identity: StateIdentity): Promise<ConnectState> {
    const path = join(folder, 'state.json')
    const found = await readState(path)
    const empty: StateFile = {
      version: 1,
      platform: identity.platform,
      workspace_id: identity.workspaceId,
      cursor: null,
      open: {},
      finished: [],
      ahead: [],
    }
    return new ConnectState(path, found ?? empty, found === undefined)
  }

  get cursor(): Cursor | null {
    return this.#state.cursor
  }

  /** Answers that were ready when the last run ended, oldest first. */
  get unsent(): readonly { readonly rowId: string; readonly reply: PendingReply }[] {
    return Object.entries(this.#state.open).flatMap(([rowId, row]) =>
      row.state === 'answered' ? [{ rowId, reply: row.reply }] : [],
    )
  }

  /** Begins at another place; what is open or finished stays known. */
  async restartAt(place: Cursor | null): Promise<void> {
    this.#state.cursor = place
    this.#places = []
    await this.save()
  }

  /** Notes the next row of the feed; false when it needs no work any more. */
  fetched(row: Cursor): boolean {
    const { finished, ahead } = this.#state
    const isFinished = finished.includes(row.id) || ahead.includes(row.id)
    this.#places.push({ cursor: row, isFinished })
    this.#advance()
    return !isFinished
  }

  /** A row that wants nothing. Not saved by itself: it would be skipped again just the same. */
  skipped(rowId: string): void {
    this.#finishPlace(rowId)
  }

  /** Before its command runs; resolves with how often that was begun. */
  async received(rowId: string): Promise<number> {
    const known = this.#state.open[rowId]
    const attempts = known?.state === 'received' ? known.attempts + 1 : 1
    this.#state.open[rowId] = { state: 'received', attempts }
    await this.save()
    return attempts
  }

  /** Its command never ran: it does not count as an attempt. */
  async released(rowId: string): Promise<void> {
    const { [rowId]: _gone, ...open } = this.#state.open
    this.#state.open = open
    await this.save()
  }

  /** Before its answer is sent. */
  async answered(rowId: string, reply: PendingReply): Promise<void> {
    this.#state.open[rowId] = { state: 'answered', reply }
    await this.save()
  }

  /** The platform has the answer, or nobody wants one. */
  async sent(rowId: string): Promise<void> {
    const { [rowId]: _gone, ...open } = this.#state.open
    this.#state.open = open
    this.#state.ahead.push(rowId)
    this.#finishPlace(rowId)
    await this.save()
  }

  /** Resolves when everything noted before this call is on disk; several calls share one write. */
  save(): Promise<void> {
    this.#next ??= this.#written.then(async () => {
      this.#next = undefined
      await writePrivateFile(this.#path, `${JSON.stringify(this.#state)}\n`)
    })
    // A failed write fails whoever waits for it, and not the one after it.
    this.#written = this.#next.catch(() => undefined)
    return this.#next
  }

  #finishPlace(rowId: string): void {
    const place = this.#places.find((each) => each.cursor.id === rowId)
    if (place !== undefined) place.isFinished = true
    this.#advance()
  }

  /** Past a row only when everything before it is finished too. */
  #advance(): void {
    const passed = new Set<string>()
    for (let place = this.#places[0]; place?.isFinished === true; place = this.#places[0]) {
      this.#state.cursor = place.cursor
      passed.add(place.cursor.id)
      this.#places.shift()
    }
    if (passed.size === 0) return
    const { finished, ahead } = this.#state
    this.#state.finished = [...finished, ...ahead.filter((id) => passed.has(id))].slice(-REMEMBERED)
    this.#state.ahead = ahead.filter((id) => !passed.has(id))
  }
}

async function readState(path: string): Promise<StateFile | undefined> {
  try {
    return stateFile.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return undefined
    const isContent = thrown instanceof z.ZodError || thrown instanceof SyntaxError
    const reason = isContent ? 'it is not a state of this version' : describeThrown(thrown)
    throw usageFailure(`cannot read ${path}: ${reason}`, 'move it away to begin anew')
  }
}
