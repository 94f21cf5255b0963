/** @module The tar format, by tar-stream (ADR-0043): ustar, and pax where that is too narrow. */
import { constants } from 'node:fs'
import { type Header, pack } from 'tar-stream'
import type { ArchiveEntry, ArchiveSink, ArchiveWriter } from './archive-entry.ts'
import type { Breaking } from './breaking.ts'

/** The library keeps times in 32 bits with a sign. What is later goes into a pax record. */
const MAX_HEADER_SECONDS = 0x7fff_ffff

/** The part of the library's stream of one entry that is used. */
type EntryStream = {
  write(bytes: Buffer): boolean
  end(data: undefined): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

type OpenEntry = { readonly stream: EntryStream; readonly done: Promise<void> }

export class TarWriter implements ArchiveWriter {
  readonly #pack = pack()
  readonly #breaking: Breaking
  readonly #isFinished = Promise.withResolvers<void>()
  /** Pieces that the library holds, and who waits for each. */
  readonly #lent = new Map<unknown, () => void>()
  #entry: OpenEntry | undefined

  /** `breaking` is broken when the sink fails. */
  constructor(sink: ArchiveSink, breaking: Breaking) {
    this.#breaking = breaking
    this.#drain(sink).catch((error: unknown) => breaking.break(error))
  }

  async begin(entry: ArchiveEntry): Promise<void> {
    const done = Promise.withResolvers<void>()
    // Of a folder it is waited for at once, of a file when its bytes are through.
    done.promise.catch(() => undefined)
    const stream: EntryStream = this.#pack.entry(headerOf(entry), (error) => {
      if (error) done.reject(error)
      else done.resolve()
    })
    // Without a listener a failure of the stream would end the process.
    stream.on('error', (error) => done.reject(error))
    this.#entry = { stream, done: done.promise }
    if (entry.kind === 'folder') await this.#breaking.wait(done.promise)
  }

  write(bytes: Buffer): Promise<void> {
    const freed = Promise.withResolvers<void>()
    this.#lent.set(bytes, freed.resolve)
    this.#openEntry().stream.write(bytes)
    return this.#breaking.wait(freed.promise)
  }

  async finishEntry(): Promise<void> {
    const { stream, done } = this.#openEntry()
    stream.end(undefined)
    await this.#breaking.wait(done)
  }

  async finish(): Promise<void> {
    this.#pack.finalize()
    await this.#breaking.wait(this.#isFinished.promise)
  }

  abandon(): void {
    this.#pack.destroy()
  }

  #openEntry(): OpenEntry {
    if (this.#entry === undefined) throw new Error('no entry was begun')
    return this.#entry
  }

  async #drain(sink: ArchiveSink): Promise<void> {
    for await (const piece of this.#pack) {
      if (!(piece instanceof Uint8Array)) throw new TypeError('a piece of a tar is not bytes')
      await sink.write(piece)
      this.#lent.get(piece)?.()
      this.#lent.delete(piece)
    }
    this.#isFinished.resolve()
  }
}

function headerOf({
  path,
  kind,
  size,
  mode,
  mtimeSeconds,
}: ArchiveEntry): Partial<Header> & Pick<Header, 'name'> {
  const isLate = mtimeSeconds > MAX_HEADER_SECONDS
  return {
    name: path,
    type: kind === 'folder' ? 'directory' : 'file',
    size,
    // Alone, 0 would be taken for a mode that was not given.
    mode: (kind === 'folder' ? constants.S_IFDIR : constants.S_IFREG) | mode,
    mtime: new Date(Math.min(mtimeSeconds, MAX_HEADER_SECONDS) * 1000),
    uid: 0,
    gid: 0,
    ...(isLate ? { pax: { mtime: String(mtimeSeconds) } } : {}),
  }
}
