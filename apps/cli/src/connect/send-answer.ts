/**
 * @module An answer on its way back: to a person as a notification, to a workspace as a message. Both
 * are named after the row they answer, so that the platform recognises one that comes again.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { filePart } from '../a2a/file-part.ts'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformRequest } from '../http/platform-client.ts'
import { printableLine } from '../terminal/printable.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { PendingReply } from './connect-state.ts'
import { IN_REPLY_TO } from './inbound-message.ts'
import type { PlatformLink } from './platform-link.ts'
import { makePrivateFolder, writePrivateFile } from './private-file.ts'

/** A workspace that does not take an answer for so long does not hold up the others any more. */
const PATIENCE_MS = 5 * 60_000
/** Until another agent has taken an answer; it need not have read it. */
const HEADERS_TIMEOUT_MS = 600_000
/** Of the ledger, to an answer: there is no such message, or it is over. */
const NOT_OPEN: ReadonlySet<number | undefined> = new Set([404, 409])

export type SendDeps = {
  readonly link: PlatformLink
  readonly terminal: Terminal
  readonly workspaceId: string
  /** Where answers are kept that nobody took. */
  readonly stateFolder: string
  /** Ends the waiting for a platform that is away. */
  readonly signal: AbortSignal
}

const refusal = z.looseObject({ error: z.looseObject({ message: z.string() }) })

/**
 * Resolves when the answer was taken, or never will be: then it is kept in a file and said. Throws
 * when it has to be sent again later (exit 5) or the token is not accepted any more (exit 4).
 */
export async function sendAnswer(
  deps: SendDeps,
  rowId: string,
  reply: PendingReply,
): Promise<void> {
  const { to } = reply
  const request =
    to === null ? notification(deps.workspaceId, rowId, reply) : messageTo(to, rowId, reply)
  try {
    const answer = await deps.link.json(request, {
      signal: deps.signal,
      ...(to === null ? {} : { patienceMs: PATIENCE_MS }),
    })
    const refused = refusal.safeParse(answer)
    if (refused.success) await keep(deps, { rowId, reply, why: refused.data.error.message })
  } catch (thrown) {
    if (!(thrown instanceof CliFailure) || isForLater(deps, thrown)) throw thrown
    await keep(deps, { rowId, reply, why: thrown.message })
  }
}

/**
 * The same answer in the ledger of the platform, where whoever has sent the message asks for it. That it
 * is over there already, has expired, or that the platform is older and knows of no ledger, is nobody's
 * trouble any more; every other refusal is said: the message stays open there until it expires. Throws as
 * `sendAnswer` does.
 */
export async function answerInLedger(
  deps: SendDeps,
  rowId: string,
  reply: PendingReply,
): Promise<void> {
  const { queue_id: queueId } = reply
  if (queueId === null) return
  const { signal } = deps
  try {
    await deps.link.json(ledgerReply(deps.workspaceId, rowId, { ...reply, queue_id: queueId }), {
      signal,
      patienceMs: PATIENCE_MS,
    })
  } catch (thrown) {
    if (!(thrown instanceof CliFailure) || isForLater(deps, thrown)) throw thrown
    if (NOT_OPEN.has(thrown.facts.status)) return
    const why = printableLine(thrown.message)
    deps.terminal.warning(
      `the platform keeps a message open: its answer was not taken there (${why})`,
    )
    deps.terminal.jsonLine({ type: 'left_open', activity_id: rowId, queue_id: queueId, error: why })
  }
}

function ledgerReply(
  workspaceId: string,
  rowId: string,
  reply: PendingReply & { readonly queue_id: string },
): PlatformRequest {
  const result = { ...messageOf(rowId, reply), role: 'agent' }
  const segments = ['workspaces', workspaceId, 'a2a', 'queue', reply.queue_id, 'reply']
  return { method: 'POST', segments, json: { result } }
}

function isForLater({ signal }: SendDeps, failure: CliFailure): boolean {
  if (failure.exitCode === EXIT.auth) return failure.facts.status === 401
  return signal.aborted
}

function notification(workspaceId: string, rowId: string, reply: PendingReply): PlatformRequest {
  return {
    method: 'POST',
    segments: ['workspaces', workspaceId, 'notify'],
    json: {
      message: reply.text === '' ? '(files)' : reply.text,
      idempotency_key: `connect:${rowId}`,
      ...(reply.files.length === 0 ? {} : { attachments: reply.files.map(attachmentOf) }),
    },
  }
}

function attachmentOf({ uri, name, mimeType }: PendingReply['files'][number]) {
  return { uri, name: name === '' ? uri : name, ...(mimeType === '' ? {} : { mimeType }) }
}

function messageTo(sourceId: string, rowId: string, reply: PendingReply): PlatformRequest {
  const messageId = derivedUuid(rowId)
  return {
    method: 'POST',
    segments: ['workspaces', sourceId, 'a2a'],
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    json: {
      jsonrpc: '2.0',
      id: messageId,
      method: 'message/send',
      params: {
        message: messageOf(rowId, reply),
        // It is told, not asked: what it makes of the answer is not waited for.
        configuration: { blocking: false },
      },
    },
  }
}

function messageOf(rowId: string, reply: PendingReply) {
  const text = reply.text !== '' || reply.files.length === 0 ? [reply.text] : []
  return {
    kind: 'message',
    role: 'user',
    messageId: derivedUuid(rowId),
    ...(reply.context_id === null ? {} : { contextId: reply.context_id }),
    parts: [...text.map((each) => ({ kind: 'text', text: each })), ...reply.files.map(filePart)],
    metadata: { [IN_REPLY_TO]: reply.in_reply_to },
  }
}

/** The same id for the same row, whoever computes it: RFC 9562 s5.8, a UUID of version 8. */
export function derivedUuid(rowId: string): string {
  const hex = createHash('sha256').update(`atrium-connect:${rowId.toLowerCase()}`).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

async function keep(
  deps: SendDeps,
  lost: { readonly rowId: string; readonly reply: PendingReply; readonly why: string },
): Promise<void> {
  const folder = join(deps.stateFolder, 'undelivered')
  await makePrivateFolder(folder)
  const path = join(folder, `${lost.rowId}.json`)
  await writePrivateFile(path, `${JSON.stringify({ reason: lost.why, ...lost.reply }, null, 2)}\n`)
  const why = printableLine(lost.why)
  deps.terminal.warning(`an answer was not taken (${why}); it is kept in ${path}`)
  deps.terminal.jsonLine({
    type: 'undelivered',
    activity_id: lost.rowId,
    error: why,
    kept_in: path,
  })
}
