/**
 * @module What the platform and the runtime agree on for files: routes, headers that may pass,
 * limits, well-known places. Upload and download differ by this data and by nothing else (M2).
 */

export const INGEST_PATH = '/internal/chat/uploads/ingest'
export const FILE_READ_PATH = '/internal/file/read'

/** The multipart field that carries files (contract/runtime 2.1). */
export const FILES_FIELD = 'files'

/** Where uploads live, as a path on the wire (contract/runtime 2.3). */
export const UPLOADS_DIR = '/workspace/.molecule/chat-uploads'

/** `uri` of a stored file is this prefix and its absolute path on the wire (contract/runtime 2.3). */
export const WORKSPACE_URI_SCHEME = 'workspace:'

export const DEFAULT_MAX_FILE_BYTES = 26_214_400
export const DEFAULT_MAX_REQUEST_BYTES = 52_428_800
export const DEFAULT_MAX_FILES = 64
export const MAX_PLAIN_FIELDS = 32

/** One entry of the ingest answer (contract/runtime 2.3, plus `sha256` in lower-case hex). */
export type StoredFile = {
  readonly uri: string
  readonly name: string
  readonly mimeType: string
  readonly size: number
  readonly sha256: string
}

/** One forwarded operation as data: what goes out, what may come back. Header names lower-case. */
export type ForwardOperation = {
  readonly name: 'upload' | 'download' | 'list' | 'preview' | 'content' | 'archive'
  readonly path: string
  readonly methods: readonly ('GET' | 'HEAD' | 'POST')[]
  readonly requestHeaders: readonly string[]
  readonly responseHeaders: readonly string[]
}

export const UPLOAD_OPERATION: ForwardOperation = {
  name: 'upload',
  path: INGEST_PATH,
  methods: ['POST'],
  requestHeaders: ['content-type', 'content-length'],
  responseHeaders: ['content-length', 'retry-after'],
}

/**
 * Content-Type and Content-Disposition are absent on purpose: the platform derives both from the
 * path it validated, and never repeats what a workspace says about them.
 */
export const DOWNLOAD_OPERATION: ForwardOperation = {
  name: 'download',
  path: FILE_READ_PATH,
  methods: ['GET', 'HEAD'],
  requestHeaders: ['range', 'if-range', 'if-none-match'],
  responseHeaders: [
    'content-length',
    'content-range',
    'accept-ranges',
    'etag',
    'last-modified',
    'retry-after',
  ],
}
