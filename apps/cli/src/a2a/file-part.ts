/** @module A file in a message: by reference, never inline (contract/runtime 0, fact 17). */
import { WORKSPACE_URI_SCHEME } from '@atrium/runtime-contract/file-transfer'

export type FilePart = {
  readonly kind: 'file'
  readonly file: { readonly uri: string; readonly name: string; readonly mimeType: string }
}

/** A file that an agent refers to. Everything in it is hostile. */
export type FileReference = {
  readonly uri: string
  readonly name: string
  readonly mimeType: string
}

/** The part that refers to an uploaded file. */
export function filePart(file: FileReference): FilePart {
  return { kind: 'file', file: { uri: file.uri, name: file.name, mimeType: file.mimeType } }
}

/**
 * The path in the workspace that a uri or a plain path means, or undefined when it is something
 * else (an https link is not ours to fetch).
 */
export function workspacePathOf(uriOrPath: string): string | undefined {
  const path = uriOrPath.startsWith(WORKSPACE_URI_SCHEME)
    ? uriOrPath.slice(WORKSPACE_URI_SCHEME.length)
    : uriOrPath
  return path.startsWith('/') ? path : undefined
}

const STORED_PREFIX = /^[0-9a-f]{32}-(?=.)/

/** The name of a stored file without the random prefix it was stored under (contract/runtime 2.3). */
export function nameInPath(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(STORED_PREFIX, '')
}
