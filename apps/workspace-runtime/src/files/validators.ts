/** @module Validators of an opened file and the preconditions over them (RFC 9110 s8.8, s13). */
import type { OpenedFile } from './open-contained-file.ts'

export type Validators = {
  /** Strong: quoted, no `W/`. */
  readonly etag: string
  /** Never in the future, and never before 1970. */
  readonly lastModified: Date
}

const ONE_SECOND_MS = 1000
// RFC 9110 s8.8.3: an opaque-tag may contain commas, so a list is not split at them.
const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

/** What an opened file is now; another one is of another file, or of a changed one. Opaque. */
export function versionOf(
  file: Pick<OpenedFile, 'dev' | 'ino' | 'mtimeNs' | 'ctimeNs'> & {
    readonly size: number | bigint
  },
): string {
  const parts = [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs]
  return parts.map((part) => part.toString(36)).join('-')
}

/** From the descriptor, so that the tag is the tag of exactly the bytes that are sent. */
export function validatorsOf(file: OpenedFile, now: Date): Validators {
  return {
    etag: `"${versionOf(file)}"`,
    lastModified: new Date(plausibleMs(file.mtimeNs / 1_000_000n, now)),
  }
}

/**
 * RFC 9110 s8.8.2.1: "If the last modification time is derived from implementation-specific
 * metadata that evaluates to some time in the future, [...] then the origin server MUST replace
 * that value with the message origination date." Whoever owns the file sets that metadata at will.
 */
function plausibleMs(modifiedMs: bigint, now: Date): number {
  if (modifiedMs < 0n) return 0
  return modifiedMs > BigInt(now.getTime()) ? now.getTime() : Number(modifiedMs)
}

/**
 * Whether `If-None-Match` says that the client has the file already (RFC 9110 s13.1.2): `*`, or
 * any tag of the list by weak comparison.
 */
export function isAlreadyKnown(ifNoneMatch: string | undefined, { etag }: Validators): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  for (const [, opaqueTag] of ifNoneMatch.matchAll(ENTITY_TAG)) {
    if (opaqueTag === etag) return true
  }
  return false
}

/**
 * Whether a part of the file may be answered (RFC 9110 s13.1.5): no `If-Range`, our tag by strong
 * comparison, or exactly our date when it is strong. "A recipient MUST ignore the If-Range ... if
 * the validator does not match" means the whole file here.
 */
export function mayAnswerPart(
  ifRange: string | undefined,
  { etag, lastModified }: Validators,
  now: Date,
): boolean {
  if (ifRange === undefined) return true
  const validator = ifRange.trim()
  if (validator.startsWith('"') || validator.startsWith('W/')) return validator === etag
  // RFC 9110 s8.8.2.2: a date of this very second may cover two different contents.
  const isStrong = now.getTime() - lastModified.getTime() >= ONE_SECOND_MS
  return isStrong && validator === lastModified.toUTCString()
}
