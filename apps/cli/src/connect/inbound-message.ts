/** @module What arrives: rows of a workspace's activity, and which of them want an answer. */
import { methodTraits } from '@atrium/a2a-schema/method'
import { z } from 'zod'

/** A row of the feed (contract/platform 5.1). Everything in it but the ids is hostile. */
export const activityRow = z.looseObject({
  id: z.guid(),
  activity_type: z.string(),
  source_id: z.string().nullish(),
  method: z.string().nullish(),
  created_at: z.string(),
  queue_id: z.guid().nullish().catch(null),
  request_body: z.unknown().optional(),
  response_body: z.unknown().optional(),
})
export type ActivityRow = z.infer<typeof activityRow>

const inlineFile = z.looseObject({
  bytes: z.string().nullish(),
  uri: z.string().nullish(),
  name: z.string().nullish(),
  mimeType: z.string().nullish(),
})
// In 0.3 `kind` tells parts apart, in 1.0 the key itself does (contract/a2a 1.3).
const textPart = z.looseObject({ text: z.string() })
const filePart = z.looseObject({ file: inlineFile })
const dataPart = z.looseObject({ data: z.unknown() })

const a2aMessage = z.looseObject({
  messageId: z.string().nullish(),
  contextId: z.string().nullish(),
  parts: z.array(z.unknown()).nullish(),
  metadata: z.looseObject({}).nullish(),
})
const messageRequest = z.looseObject({ params: z.looseObject({ message: a2aMessage }) })

/** Marks an answer that is itself a message, so that two agents do not answer each other for ever. */
export const IN_REPLY_TO = 'atrium/in_reply_to'

export type InboundFile = {
  readonly name: string
  readonly mimeType: string
  /** Base64, when the file came inside the message. */
  readonly bytes: string | undefined
  readonly uri: string | undefined
}

export type InboundMessage = {
  /** Of the row: what everything about this message is remembered by. */
  readonly rowId: string
  readonly receivedAt: string
  /** The workspace it came from; undefined for a person. */
  readonly sourceId: string | undefined
  readonly messageId: string
  readonly contextId: string | undefined
  /** Under which the platform keeps it; undefined where it is an older one. */
  readonly queueId: string | undefined
  /** The message that this one answers, when it says so. */
  readonly inReplyTo: string | undefined
  readonly text: string
  readonly files: readonly InboundFile[]
  /** As it came, for an agent that speaks A2A itself. */
  readonly raw: Readonly<Record<string, unknown>>
}

/**
 * The message in a row that waits for an answer of `workspaceId`; undefined for everything else: its
 * own reports and notifications, other methods, and what was pushed and answered already.
 */
export function messageOf(row: ActivityRow, workspaceId: string): InboundMessage | undefined {
  const isMessage = row.activity_type === 'a2a_receive' && row.source_id !== workspaceId
  if (!isMessage || !methodTraits(row.method ?? '').carriesMessage) return undefined
  if (row.response_body !== undefined && row.response_body !== null) return undefined
  const request = messageRequest.safeParse(row.request_body)
  if (!request.success) return undefined
  const { message } = request.data.params
  const parts = message.parts ?? []
  return {
    rowId: row.id,
    receivedAt: row.created_at,
    sourceId: row.source_id ?? undefined,
    messageId: message.messageId ?? row.id,
    contextId: message.contextId ?? undefined,
    queueId: row.queue_id ?? undefined,
    inReplyTo: answeredBy(message),
    text: parts.flatMap(textOf).join('\n'),
    files: parts.flatMap(fileOf),
    raw: message,
  }
}

function answeredBy({ metadata }: z.infer<typeof a2aMessage>): string | undefined {
  const inReplyTo = metadata?.[IN_REPLY_TO]
  return typeof inReplyTo === 'string' ? inReplyTo : undefined
}

function textOf(part: unknown): string[] {
  const text = textPart.safeParse(part)
  if (text.success) return [text.data.text]
  const data = dataPart.safeParse(part)
  return data.success && data.data.data !== undefined ? [JSON.stringify(data.data.data)] : []
}

function fileOf(part: unknown): InboundFile[] {
  const parsed = filePart.safeParse(part)
  if (!parsed.success) return []
  const { bytes, uri, name, mimeType } = parsed.data.file
  return [
    {
      name: name ?? '',
      mimeType: mimeType ?? 'application/octet-stream',
      bytes: bytes ?? undefined,
      uri: uri ?? undefined,
    },
  ]
}
