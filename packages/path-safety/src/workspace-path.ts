/**
 * @module The lexical half of file access: which paths may be asked for at all. Pure; the physical
 * half (what really lies there) is the runtime's. Both sides of the wire call this one function, so
 * the error a client sees does not depend on who refused (contract/platform 6.3, contract/runtime 3.1).
 */

/** The folders of a workspace that exist on the wire. The root itself is never a file. */
export const ALLOWED_ROOTS = ['configs', 'workspace', 'home', 'plugins'] as const
export type AllowedRoot = (typeof ALLOWED_ROOTS)[number]

// PATH_MAX and NAME_MAX of Linux; d_path truncates beyond them (design/path-safety 1).
export const MAX_PATH_BYTES = 4095
export const MAX_SEGMENT_BYTES = 255

const LEXICALLY_VALID: unique symbol = Symbol('lexically valid')

/**
 * A path that passed `parseWorkspacePath`, and nothing else: the symbol is not exported, so no
 * other module can build one. Says nothing about what lies there.
 */
export type WorkspacePath = {
  /** The whole path as it was asked for, byte for byte: never normalised (NFC and NFD are two files). */
  readonly text: string
  readonly root: AllowedRoot
  /** Below the root, at least one, none empty, `.` or `..`. */
  readonly segments: readonly [string, ...string[]]
  readonly [LEXICALLY_VALID]: true
}

/**
 * A path that passed `parseFolderPath`: like `WorkspacePath`, and the root itself is one as well.
 * Every `WorkspacePath` is a `FolderPath`.
 */
export type FolderPath = {
  readonly text: string
  readonly root: AllowedRoot
  /** Below the root, none empty, `.` or `..`; none at all for the root itself. */
  readonly segments: readonly string[]
  readonly [LEXICALLY_VALID]: true
}

/** Codes of `ERROR_TABLE`; their texts are the contract's. */
export type PathRefusal =
  | 'path_required'
  | 'path_not_absolute'
  | 'path_outside_roots'
  | 'invalid_path'
  | 'not_a_regular_file'

export type Verdict<Path> =
  | { readonly ok: true; readonly path: Path }
  | { readonly ok: false; readonly code: PathRefusal }

export type PathVerdict = Verdict<WorkspacePath>

const UTF8 = new TextEncoder()

// C0 and DEL. C1 and everything above is an ordinary byte sequence to the file system.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses.
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/

function refuse(code: PathRefusal): Verdict<never> {
  return { ok: false, code }
}

function rootOf(text: string): AllowedRoot | undefined {
  // With the separator: `/workspaceX/foo` is not under `/workspace`.
  return ALLOWED_ROOTS.find((root) => text === `/${root}` || text.startsWith(`/${root}/`))
}

/** Segments are tested, not substrings: `a..b.txt` is a name, `..` is not. */
function isLegalSegment(segment: string): boolean {
  if (segment === '' || segment === '.' || segment === '..') return false
  return UTF8.encode(segment).byteLength <= MAX_SEGMENT_BYTES
}

/**
 * Judges the `path` query parameter, given as all the values it was sent with.
 *
 * The order of the checks is the contract's (platform 6.3): present, absolute, under a root,
 * canonical. A repeated parameter is refused, because two parsers would pick different values. The
 * exact root passes all of them and is answered as what it is, not a regular file (runtime 3.1).
 * The value must be decoded exactly once and is not decoded again here. Never throws.
 */
export function parseWorkspacePath(values: readonly string[]): PathVerdict {
  const verdict = parseFolderPath(values)
  if (!verdict.ok) return verdict
  const [first, ...rest] = verdict.path.segments
  if (first === undefined) return refuse('not_a_regular_file')
  return { ok: true, path: { ...verdict.path, segments: [first, ...rest] } }
}

/**
 * `parseWorkspacePath` for what may be a folder: the same checks in the same order, and the exact
 * root is one. Nothing is forgiven that is refused there, so that a path is judged alike whatever
 * it is asked for.
 */
export function parseFolderPath(values: readonly string[]): Verdict<FolderPath> {
  const text = values[0]
  if (text === undefined || text === '') return refuse('path_required')
  if (values.length > 1) return refuse('invalid_path')
  if (!text.startsWith('/')) return refuse('path_not_absolute')
  const root = rootOf(text)
  if (root === undefined) return refuse('path_outside_roots')
  if (CONTROL_CHARACTER.test(text)) return refuse('invalid_path')
  if (UTF8.encode(text).byteLength > MAX_PATH_BYTES) return refuse('invalid_path')

  const segments = text.split('/').slice(2)
  if (!segments.every(isLegalSegment)) return refuse('invalid_path')
  return { ok: true, path: { text, root, segments, [LEXICALLY_VALID]: true } }
}

// `/configs` is readable and holds the credentials that protect it (design/path-safety 1): they are
// refused by name here, and by what the name really is in the runtime.
export const AUTH_TOKEN_FILE = '.auth_token'
export const INBOUND_SECRET_FILE = '.platform_inbound_secret'
/** The one it held before, while that is accepted as well; hidden by the name that it starts with. */
export const FORMER_INBOUND_SECRET_FILE = `${INBOUND_SECRET_FILE}.former`

const SECRET_NAMES = [AUTH_TOKEN_FILE, '.auth-token', INBOUND_SECRET_FILE] as const

/** An upload that is not finished: never listed, never readable, swept when stale. */
export const UPLOAD_TEMPORARY_NAME = /^\.up-[0-9a-f]{24}\.part$/

/** `id`: 24 digits of lower-case hex, as for the record. */
export function uploadTemporaryName(id: string): string {
  return `.up-${id}.part`
}

/** What a request with several files is about to publish: hidden likewise, undone when left behind. */
export const UPLOAD_RECORD_NAME = /^\.up-[0-9a-f]{24}\.list$/

export function uploadRecordName(id: string): string {
  return `.up-${id}.list`
}

/**
 * The name under which a case-folding or normalising file system might find a file: compatibility
 * form, lower case, ignorable characters dropped (ext4 casefold and HFS+ ignore them when looking
 * a name up). Coarser than any of them on purpose; used to refuse, never to open.
 */
function foldName(name: string): string {
  return name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
}

/**
 * Whether the path names a credential file directly under `/configs`, by any spelling, or one of
 * its siblings: everything that starts with such a name is refused, which covers the temporary
 * files of an atomic write, editors' backups and alternate-stream suffixes.
 */
export function isSecretFile(path: Pick<FolderPath, 'root' | 'segments'>): boolean {
  const [first] = path.segments
  if (path.root !== 'configs' || first === undefined) return false
  const name = foldName(first)
  return SECRET_NAMES.some((secret) => name.startsWith(secret))
}

/** Whether the path names a part of an upload that is not finished, in any folder. */
export function isHiddenUploadTemporary(path: Pick<FolderPath, 'segments'>): boolean {
  return path.segments.some(isHiddenUploadName)
}

/** The same of one name. */
export function isHiddenUploadName(name: string): boolean {
  const folded = foldName(name)
  return UPLOAD_TEMPORARY_NAME.test(folded) || UPLOAD_RECORD_NAME.test(folded)
}

/** Whether `name` in the folder is nobody's business: not listed, not previewed, not archived. */
export function isHiddenEntry(
  folder: Pick<FolderPath, 'root' | 'segments'>,
  name: string,
): boolean {
  const path = { root: folder.root, segments: [...folder.segments, name] }
  return isSecretFile(path) || isHiddenUploadTemporary(path)
}
