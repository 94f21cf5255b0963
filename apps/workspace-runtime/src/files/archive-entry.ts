/** @module What an archive says about one folder or file, and what a format makes of it. */

export type ArchiveEntry = {
  /** Relative, parts joined by `/`, a folder's with one at the end. */
  readonly path: string
  readonly kind: 'folder' | 'file'
  /** Bytes that follow, exactly; 0 for a folder. */
  readonly size: number
  /** Permission bits, `st_mode & 0o777`: an archive makes nobody's program setuid. */
  readonly mode: number
  /** Whole seconds since 1970, not negative. */
  readonly mtimeSeconds: number
}

/** One archive being written, entry after entry; every promise is waited for before the next call. */
export type ArchiveWriter = {
  begin(entry: ArchiveEntry): Promise<void>
  /** Resolves when nobody reads from `bytes` any more, so that their buffer may be used again. */
  write(bytes: Buffer): Promise<void>
  /** Rejects when there were not exactly `size` bytes. */
  finishEntry(): Promise<void>
  /** Writes what stands at the end of an archive. */
  finish(): Promise<void>
  /** Lets go of everything; the archive is broken off. */
  abandon(): void
}

/** Where the bytes of an archive go. Calls are made one after another. */
export type ArchiveSink = {
  /** Resolves when nobody reads from `bytes` any more. */
  write(bytes: Uint8Array): Promise<void>
}
