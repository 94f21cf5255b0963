/** @module The files that a message refers to (contract/runtime 8.4), opened before anybody works on them. */
import type { Part } from '@a2a-js/sdk'
import { ERROR_TABLE, findAppError } from '@atrium/http-kit/app-error'
import { safeFileName } from '@atrium/path-safety/file-name'
import { parseWorkspacePath, type WorkspacePath } from '@atrium/path-safety/workspace-path'
import { WORKSPACE_URI_SCHEME } from '@atrium/runtime-contract/file-transfer'
import { AgentFailure, type Attachment } from './agent-adapter.ts'
import { mediaTypeFor } from './media-type.ts'

/** A regular file inside the workspace, as `files/` opens it. */
export type OpenedWorkspaceFile = {
  readonly fd: number
  readonly size: number
  close(): void
}

export type OpenWorkspaceFile = (path: WorkspacePath) => Promise<OpenedWorkspaceFile>

export type OpenedAttachments = {
  readonly attachments: readonly Attachment[]
  /** Exactly once, when nobody reads from them any more. */
  close(): void
}

const MAX_ATTACHMENTS = 64
const STORED_PREFIX = /^[0-9a-f]{32}-(?=.)/

/**
 * Opens every file part of a message, in order. Throws `AgentFailure` that names the attachment
 * when one cannot be used: leaving it out silently would make the agent answer a different question.
 */
export async function openAttachments(
  parts: readonly Part[],
  open: OpenWorkspaceFile,
): Promise<OpenedAttachments> {
  const files = parts.filter(({ content }) => content?.$case === 'url' || content?.$case === 'raw')
  if (files.length > MAX_ATTACHMENTS) {
    throw new AgentFailure(`a message may have at most ${MAX_ATTACHMENTS} attachments`)
  }
  const attachments: Attachment[] = []
  const opened: OpenedWorkspaceFile[] = []
  const close = (): void => {
    for (const file of opened.splice(0)) file.close()
  }
  try {
    for (const part of files) attachments.push(await openOne(part, open, opened))
  } catch (error) {
    close()
    throw error
  }
  return { attachments, close }
}

async function openOne(
  part: Part,
  open: OpenWorkspaceFile,
  opened: OpenedWorkspaceFile[],
): Promise<Attachment> {
  if (part.content?.$case === 'raw') {
    const name = safeFileName(part.filename)
    const bytes = part.content.value
    return { name, mimeType: mimeTypeOf(part, name), uri: undefined, content: { bytes } }
  }
  const uri = part.content?.$case === 'url' ? part.content.value : ''
  const text = pathOfUri(uri)
  const lastSegment = (text ?? uri).replace(/^.*\//s, '').replace(STORED_PREFIX, '')
  const name = safeFileName(part.filename || lastSegment)
  const path = text === undefined ? undefined : parseWorkspacePath([text])
  if (path === undefined || !path.ok || path.path.root !== 'workspace') {
    throw new AgentFailure(`attachment "${name}": only files under /workspace can be attached`)
  }
  const file = await openNamed(name, path.path, open)
  opened.push(file)
  return {
    name,
    mimeType: mimeTypeOf(part, name),
    uri: WORKSPACE_URI_SCHEME + path.path.text,
    content: { fd: file.fd, size: file.size },
  }
}

async function openNamed(
  name: string,
  path: WorkspacePath,
  open: OpenWorkspaceFile,
): Promise<OpenedWorkspaceFile> {
  try {
    return await open(path)
  } catch (cause) {
    const known = findAppError(cause)
    if (known === undefined) throw cause
    throw new AgentFailure(`attachment "${name}": ${ERROR_TABLE[known.code].text}`, { cause })
  }
}

function mimeTypeOf(part: Part, name: string): string {
  return part.mediaType || mediaTypeFor(name)
}

/** `workspace:/abs` and bare paths are taken as they are; `file:` URLs are decoded like any URL. */
function pathOfUri(uri: string): string | undefined {
  if (uri.startsWith(WORKSPACE_URI_SCHEME)) return uri.slice(WORKSPACE_URI_SCHEME.length)
  if (uri.startsWith('/')) return uri
  if (!uri.startsWith('file:///')) return undefined
  try {
    return decodeURIComponent(uri.slice('file://'.length))
  } catch {
    // A broken escape names no file; the caller says so with the attachment's name.
    return undefined
  }
}
