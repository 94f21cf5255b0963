/** @module `notify`: says something to the people of the workspace, with files (contract/runtime 9.3). */
import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { FormData } from 'undici'
import { z } from 'zod'
import { mediaTypeFor } from '../agent/media-type.ts'
import { refusalOf } from './refusal.ts'
import type { ToolContext } from './tool-context.ts'
import { EXIT, type ExitCode, ToolFailure } from './tool-failure.ts'

const uploaded = z.looseObject({
  files: z.array(
    z.object({ uri: z.string(), name: z.string(), mimeType: z.string(), size: z.number() }),
  ),
})
type Uploaded = z.infer<typeof uploaded>['files']

export async function notify(context: ToolContext): Promise<ExitCode> {
  const { args, settings, api, key, say } = context
  const [operand = ''] = args.operands
  const message = await context.textOf(operand)
  const attachments = args.attachments.length === 0 ? [] : await upload(context)
  const reply = await api.call({
    method: 'POST',
    path: `/workspaces/${encodeURIComponent(settings.workspaceId)}/notify`,
    json: {
      message,
      idempotency_key: key,
      ...(attachments.length === 0 ? {} : { attachments }),
    },
    isRepeatable: true,
  })
  if (reply.status !== 200) throw refusalOf(reply)
  say('sent', { status: 'sent', attachments })
  return EXIT.done
}

/** All of them or none: the upload is one request. */
async function upload({ args, settings, api }: ToolContext): Promise<Uploaded> {
  const form = new FormData()
  for (const path of args.attachments) form.append('files', await blobOf(path), basename(path))
  const reply = await api.call({
    method: 'POST',
    path: `/workspaces/${encodeURIComponent(settings.workspaceId)}/chat/uploads`,
    form,
    isRepeatable: false,
  })
  const parsed = uploaded.safeParse(reply.body)
  if (reply.status !== 200 || !parsed.success) throw refusalOf(reply)
  if (parsed.data.files.length !== args.attachments.length) {
    throw new ToolFailure(EXIT.failed, 'not every file was taken')
  }
  return parsed.data.files
}

async function blobOf(path: string): Promise<Blob> {
  try {
    return await openAsBlob(path, { type: mediaTypeFor(path) })
  } catch (cause) {
    const reason = errorCodeOf(cause) ?? 'unreadable'
    throw new ToolFailure(EXIT.usage, `cannot read ${path} (${reason})`, { cause })
  }
}
