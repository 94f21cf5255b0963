/**
 * @module Names of an open folder, read without holding more of them than are asked for and without
 * holding up anybody else (ADR-0042).
 */
import { opendir, readdir } from 'node:fs/promises'
import { type ByteName, procPath } from './descriptor.ts'
import { SmallestNames } from './smallest-names.ts'

export type NameScan = {
  /** In the order of their bytes. */
  readonly names: readonly ByteName[]
  /** Whether there are others behind the last of them. */
  readonly hasMore: boolean
}

export type NamesWanted = {
  /** The name behind which they begin; empty for the beginning. */
  readonly after: ByteName
  /** How many at most. */
  readonly keep: number
  readonly signal?: AbortSignal | undefined
}

/**
 * How many entries are read at once, by a thread of the pool; then they are looked at in one go, in
 * about half a millisecond.
 */
const BATCH = 1024
/** A folder with more entries than so many batches is not read without waiting for one's turn. */
const FEW_BATCHES = 16

/**
 * The first names behind one. What is there from beginning to end of the scan is found, whatever
 * else comes and goes meanwhile. Rejects with the system's error, or the signal's reason.
 */
export async function scanNames(directory: number, wanted: NamesWanted): Promise<NameScan> {
  try {
    return await scan(wanted, (offer) => readInBatches(directory, wanted, { offer }))
  } catch (error) {
    if (!isForWantOfTypes(error)) throw error
    return scan(wanted, (offer) => readAtOnce(directory, offer))
  }
}

/** `scanNames`, or undefined for a folder with so many names that the scan would take a while. */
export async function scanFewNames(
  directory: number,
  wanted: NamesWanted,
): Promise<NameScan | undefined> {
  try {
    return await scan(wanted, (offer) =>
      readInBatches(directory, wanted, { offer, most: FEW_BATCHES }),
    )
  } catch (error) {
    if (error instanceof ManyNames || isForWantOfTypes(error)) return undefined
    throw error
  }
}

class ManyNames extends Error {}

type Offer = (name: ByteName) => void

async function scan(
  { keep, after }: NamesWanted,
  read: (offer: Offer) => Promise<void>,
): Promise<NameScan> {
  const smallest = new SmallestNames(keep, after)
  await read((name) => smallest.offer(name))
  return { names: smallest.sorted(), hasMore: smallest.hasMore }
}

async function readInBatches(
  directory: number,
  { signal }: NamesWanted,
  { offer, most = Number.POSITIVE_INFINITY }: { readonly offer: Offer; readonly most?: number },
): Promise<void> {
  const folder = await opendir(procPath(directory), { encoding: 'latin1', bufferSize: BATCH })
  try {
    for (let batches = 0; ; batches += 1) {
      if (batches === most) throw new ManyNames()
      signal?.throwIfAborted()
      let entry = await folder.read()
      // What was read with it is at hand, and a promise for each would double the time.
      for (let count = 1; entry !== null && count < BATCH; count += 1) {
        offer(entry.name)
        entry = folder.readSync()
      }
      if (entry === null) return
      offer(entry.name)
    }
  } finally {
    await folder.close()
  }
}

/**
 * Some file systems do not say what an entry is. Node looks it up then, by a name that it takes for
 * text, and fails for names that are none and for those that have vanished.
 */
function isForWantOfTypes(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'lstat'
}

/** All names in memory at once, types not asked for. */
async function readAtOnce(directory: number, offer: Offer): Promise<void> {
  for (const name of await readdir(procPath(directory), 'latin1')) offer(name)
}
