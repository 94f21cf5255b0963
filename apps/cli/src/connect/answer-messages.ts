/**
 * @module The loop of `atrium connect`: rows come in order, messages among them are answered by the
 * local agent, at most so many at once, and every step is on disk before the next (ConnectState).
 */

import type { Clock, Ids } from '@atrium/http-kit/clock'
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import { CliFailure, EXIT } from '../failure.ts'
import { formatSeconds } from '../terminal/table.ts'
import { Backoff } from './backoff.ts'
import type { Bookmark } from './bookmark.ts'
import type { ConnectState, PendingReply } from './connect-state.ts'
import { CursorGone, type Feed, type FeedPlace } from './feed.ts'
import { type ActivityRow, type InboundMessage, messageOf } from './inbound-message.ts'
import { AgentBrokeOff, failureAnswer, type LocalAgent, type LocalAnswer } from './local-agent.ts'
import { answerInLedger, type SendDeps, sendAnswer } from './send-answer.ts'

/** Rows that are held in memory beyond those at work. */
const READ_AHEAD = 8
/** A message that took this process, or the agent, down so often is answered with a failure. */
const MAX_ATTEMPTS = 5
const PREVIEW_CHARACTERS = 60

export type AnswerDeps = SendDeps & {
  readonly feed: Feed
  readonly state: ConnectState
  /** Where to begin. */
  readonly place: FeedPlace
  readonly bookmark: Bookmark | undefined
  readonly agent: LocalAgent
  readonly clock: Clock
  readonly ids: Ids
  readonly concurrency: number
  /** Ends after the last message that is there, instead of waiting for more. */
  readonly isOnce: boolean
  /** What is begun is finished, and nothing new is begun. */
  readonly draining: AbortSignal
}

export class MessageLoop {
  readonly #deps: AnswerDeps
  readonly #queue: InboundMessage[] = []
  readonly #running = new Set<Promise<void>>()
  /** Aborted by the first failure that ends everything. */
  readonly #failed = new AbortController()
  #failure: unknown
  #place: FeedPlace
  /** After a cursor is lost: rows up to this moment were seen already. */
  #seenUntil: string | undefined
  answered = 0

  constructor(deps: AnswerDeps) {
    this.#deps = deps
    this.#place = deps.place
  }

  get activeTasks(): number {
    return this.#running.size
  }

  /** Runs until drained, or until there is nothing left with `isOnce`. Throws what ended it. */
  async run(): Promise<void> {
    const stop = AbortSignal.any([this.#deps.draining, this.#failed.signal])
    for (const { rowId, reply } of this.#deps.state.unsent) {
      if (stop.aborted) break
      await this.#send(rowId, reply)
    }
    try {
      let isMore = true
      while (isMore && !stop.aborted) isMore = await this.#round(stop)
    } catch (thrown) {
      if (!stop.aborted) this.#fail(thrown)
    }
    await this.#settle()
    if (this.#failed.signal.aborted) throw this.#failure
  }

  /** One page of the feed and what follows from it; false when there is nothing left to do. */
  async #round(stop: AbortSignal): Promise<boolean> {
    const { concurrency, isOnce } = this.#deps
    const room = concurrency + READ_AHEAD - this.#queue.length - this.#running.size
    if (room < 1) {
      await this.#oneOver()
      return true
    }
    const isIdle = this.#queue.length === 0 && this.#running.size === 0
    const startedMs = this.#deps.clock.now().getTime()
    const rows = await this.#page({ limit: room, isWaiting: !isOnce, signal: stop })
    for (const row of rows) this.#take(row)
    // Rows that want nothing need not be skipped again by the next run.
    if (rows.length > 0) await this.#save()
    this.#begin(stop)
    if (rows.length > 0) return true
    if (!isOnce) await this.#notTooSoon(startedMs, stop)
    else if (!isIdle) await this.#oneOver()
    return !isOnce || !isIdle
  }

  async #page(page: Parameters<Feed['after']>[1]): Promise<ActivityRow[]> {
    try {
      return await this.#deps.feed.after(this.#place, page)
    } catch (thrown) {
      if (!(thrown instanceof CursorGone)) throw thrown
      await this.#goOnAfterGap()
      return await this.#deps.feed.after('start', page)
    }
  }

  /** What is still there and newer than the last row seen is answered; what is gone is said. */
  async #goOnAfterGap(): Promise<void> {
    const { state, terminal } = this.#deps
    const until = state.cursor?.at
    terminal.warning(
      `the platform has no record of the last message this computer saw${until === undefined ? '' : ` (${until})`}: it was deleted by age, or the platform was set up anew. Messages from between may be gone. Going on with those that came later`,
    )
    terminal.jsonLine({ type: 'cursor_gone', last_seen_at: until ?? null })
    this.#seenUntil = until
    this.#place = 'start'
    await state.restartAt(null)
  }

  #take(row: ActivityRow): void {
    const { state, workspaceId, terminal } = this.#deps
    this.#place = row
    const isNew = state.fetched({ id: row.id, at: row.created_at })
    if (!isNew) return
    const isSeen =
      this.#seenUntil !== undefined && Date.parse(row.created_at) <= Date.parse(this.#seenUntil)
    const message = isSeen ? undefined : messageOf(row, workspaceId)
    if (message === undefined) {
      state.skipped(row.id)
      return
    }
    terminal.notice(`message from ${senderOf(message)}: ${preview(message.text)}`)
    this.#queue.push(message)
  }

  #begin(stop: AbortSignal): void {
    while (this.#running.size < this.#deps.concurrency && !stop.aborted) {
      const message = this.#queue.shift()
      if (message === undefined) return
      const work = this.#answer(message, stop)
        .catch((thrown: unknown) => this.#fail(thrown))
        .finally(() => {
          this.#running.delete(work)
          this.#begin(stop)
        })
      this.#running.add(work)
    }
  }

  async #answer(message: InboundMessage, stop: AbortSignal): Promise<void> {
    const { state, bookmark, clock, terminal } = this.#deps
    const startedMs = clock.now().getTime()
    const attempts = await state.received(message.rowId)
    const answer = attempts > MAX_ATTEMPTS ? gaveUp() : await this.#ask(message, stop)
    // Drained while the agent was away: nothing of it was begun, and it comes again.
    if (answer === undefined) return await state.released(message.rowId)
    const reply: PendingReply = {
      to: message.sourceId ?? null,
      in_reply_to: message.messageId,
      context_id: message.contextId ?? null,
      queue_id: message.queueId ?? null,
      text: answer.text,
      files: [...answer.files],
    }
    await state.answered(message.rowId, reply)
    const seconds = formatSeconds((clock.now().getTime() - startedMs) / 1000)
    if (message.inReplyTo === undefined) await this.#send(message.rowId, reply)
    else {
      // Not sent to anybody's agent: only the platform is told that this is done.
      await state.sent(message.rowId)
      await answerInLedger(this.#deps, message.rowId, reply)
    }
    await bookmark?.reach(state.cursor)
    this.answered += 1
    const how = answer.text.startsWith(AGENT_ERROR_PREFIX) ? 'failed' : 'answered'
    const whom = message.inReplyTo === undefined ? ` ${senderOf(message)}` : ', which was an answer'
    terminal.notice(`${how}${whom} after ${seconds}: ${preview(answer.text)}`)
    terminal.jsonLine({
      type: how,
      activity_id: message.rowId,
      source_id: message.sourceId ?? null,
      text: answer.text,
    })
  }

  /**
   * Asks the agent until it is there, but not for ever when it is there and breaks off each time;
   * undefined when drained before.
   */
  async #ask(message: InboundMessage, stop: AbortSignal): Promise<LocalAnswer | undefined> {
    const { agent, terminal, clock } = this.#deps
    const backoff = new Backoff(this.#deps)
    let [isSaid, breaks] = [false, 0]
    while (true) {
      const answer = await answerOrAbsence(agent, message)
      if (!(answer instanceof CliFailure)) return answer
      breaks += Number(answer instanceof AgentBrokeOff)
      if (breaks === MAX_ATTEMPTS) return gaveUp()
      if (!isSaid) terminal.notice(`${answer.message}; trying again until it does`)
      isSaid = true
      await clock.sleep(backoff.nextMs(), stop).catch(() => undefined)
      if (stop.aborted) return undefined
    }
  }

  async #send(rowId: string, reply: PendingReply): Promise<void> {
    await sendAnswer(this.#deps, rowId, reply)
    await answerInLedger(this.#deps, rowId, reply)
    await this.#deps.state.sent(rowId)
  }

  /** On disk before the platform is told: it tells of nothing again that it was told is done. */
  async #save(): Promise<void> {
    const { state, bookmark } = this.#deps
    await state.save()
    await bookmark?.reach(state.cursor)
  }

  /** A platform that does not know `wait` is asked every few seconds instead. */
  async #notTooSoon(startedMs: number, stop: AbortSignal): Promise<void> {
    const { clock, feed } = this.#deps
    const restMs = feed.slowPollMs - (clock.now().getTime() - startedMs)
    if (restMs > 0) await clock.sleep(restMs, stop)
  }

  /** A race of nobody has no end: all of them may be over while the feed was asked. */
  async #oneOver(): Promise<void> {
    if (this.#running.size > 0) await Promise.race(this.#running)
  }

  async #settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #fail(thrown: unknown): void {
    if (this.#failed.signal.aborted) return
    this.#failure = thrown
    this.#failed.abort()
  }
}

async function answerOrAbsence(
  agent: LocalAgent,
  message: InboundMessage,
): Promise<LocalAnswer | CliFailure> {
  try {
    return await agent.answer(message)
  } catch (thrown) {
    if (thrown instanceof CliFailure && thrown.exitCode === EXIT.unreachable) return thrown
    throw thrown
  }
}

function gaveUp(): LocalAnswer {
  return failureAnswer(`this message could not be answered in ${MAX_ATTEMPTS} attempts`)
}

function senderOf({ sourceId }: InboundMessage): string {
  return sourceId === undefined ? 'a person' : `workspace ${sourceId}`
}

/** For the terminal, which strips what is hostile in it. */
function preview(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ')
  const characters = [...line.slice(0, PREVIEW_CHARACTERS * 2)]
  return characters.length > PREVIEW_CHARACTERS
    ? `${characters.slice(0, PREVIEW_CHARACTERS).join('')}…`
    : line
}
