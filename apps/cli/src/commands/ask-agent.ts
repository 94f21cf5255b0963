/** @module Sends a message to the agent of a workspace and collects what it answers. */
import { z } from 'zod'
import type { FileReference } from '../a2a/file-part.ts'
import { Reply, type ReplyText } from '../a2a/reply.ts'
import { sendMessageBody } from '../a2a/send-message.ts'
import { sseEvents } from '../a2a/sse-events.ts'
import type { CommandContext } from '../command-context.ts'
import { CliFailure, EXIT } from '../failure.ts'
import { answerFailure } from '../http/answer-failure.ts'
import { headerValue, type PlatformAnswer, type PlatformRequest } from '../http/platform-client.ts'
import { withRetries } from '../http/retry.ts'
import { transportFailure } from '../http/transport-failure.ts'

export type Question = {
  readonly workspaceId: string
  readonly text: string
  readonly files: readonly FileReference[]
  readonly contextId?: string | undefined
  readonly isStreaming: boolean
}

const rpcAnswer = z.looseObject({ result: z.unknown().optional(), error: z.unknown().optional() })

/** The agent fetches its messages by itself (contract/platform 4.4): there is no answer yet. */
const queuedForPoll = z.looseObject({
  status: z.literal('queued'),
  delivery_mode: z.literal('poll'),
})
/** The state of a reply of which nothing is known but that the agent will get the message. */
export const QUEUED = 'queued'

/**
 * Resolves with the collected answer; its text has been printed by then (as it came, when
 * streaming). Throws when the platform or the agent refuses, and exit 5 when a stream ends before
 * the agent has finished. A failed task is an answer, not a throw.
 */
export async function askAgent(context: CommandContext, question: Question): Promise<Reply> {
  const sink: ReplySink = { reply: new Reply(), printer: new ReplyPrinter(context) }
  const request: PlatformRequest = {
    method: 'POST',
    segments: ['workspaces', question.workspaceId, 'a2a'],
    bearer: await context.credentials.forWorkspace(question.workspaceId),
    headersTimeoutMs: context.budgetMs,
    ...(question.isStreaming ? { headers: { accept: 'text/event-stream, application/json' } } : {}),
    json: sendMessageBody(
      {
        rpcId: context.ids.uuid(),
        messageId: context.ids.uuid(),
        text: question.text,
        files: question.files,
        contextId: question.contextId,
      },
      question.isStreaming ? 'message/stream' : 'message/send',
    ),
  }
  const answer = await withRetries(context, () => context.client.open(request))
  const isEventStream =
    headerValue(answer, 'content-type')?.startsWith('text/event-stream') === true
  if (isEventStream) await readStream(context, answer, sink)
  else takeAnswer(await context.client.readJson(answer), sink)
  sink.printer.finish()
  return sink.reply
}

type ReplySink = { readonly reply: Reply; readonly printer: ReplyPrinter }

async function readStream(
  context: CommandContext,
  answer: PlatformAnswer,
  sink: ReplySink,
): Promise<void> {
  const { reply } = sink
  try {
    for await (const data of sseEvents(answer.body)) {
      const event = parseEvent(data)
      takeAnswer(event, sink)
      context.terminal.jsonLine({ type: 'event', event })
      // The server closes after the last event; a proxy in between may not.
      if (reply.isSettled) break
    }
  } catch (thrown) {
    throw transportFailure(thrown, context.client.origin, context.signal)
  } finally {
    answer.body.destroy()
  }
  if (!reply.isSettled && reply.state !== 'submitted') {
    // A clean end before a settled state looks like success to a client (contract/a2a 0, 7).
    throw new CliFailure(EXIT.unreachable, 'the answer ended before the agent had finished', {
      retryable: true,
      hop: 'workspace',
    })
  }
}

function parseEvent(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new CliFailure(EXIT.failed, 'the agent sent an event that is not JSON', { cause })
  }
}

function takeAnswer(body: unknown, { reply, printer }: ReplySink): void {
  const parsed = rpcAnswer.safeParse(body)
  if (!parsed.success) throw new CliFailure(EXIT.failed, 'the agent answered with something else')
  if (parsed.data.error !== undefined && parsed.data.error !== null) {
    throw answerFailure({ status: 200, body: parsed.data })
  }
  if (queuedForPoll.safeParse(body).success) {
    reply.state = QUEUED
    return
  }
  const added = reply.take(parsed.data.result)
  if (added === undefined) {
    throw new CliFailure(EXIT.failed, 'the agent answered in a form that is not A2A 0.3', {
      hop: 'workspace',
    })
  }
  for (const piece of added) printer.print(piece)
}

/** Prints the pieces of an answer as they come, one below the other. */
class ReplyPrinter {
  readonly #context: CommandContext
  #isLineOpen = false

  constructor(context: CommandContext) {
    this.#context = context
  }

  print(piece: ReplyText): void {
    if (this.#isLineOpen && !piece.isContinuation) this.#context.terminal.foreign('\n')
    this.#context.terminal.foreign(piece.text)
    this.#isLineOpen = !piece.text.endsWith('\n')
  }

  finish(): void {
    if (this.#isLineOpen) this.#context.terminal.foreign('\n')
    this.#isLineOpen = false
  }
}
