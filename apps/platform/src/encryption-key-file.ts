/** @module The embedded default of the encryption key: made once, kept beside the data, 0600. */
import { randomBytes } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { readIfThere } from './db/embedded-postgres/read-if-there.ts'
import { syncFolder } from './db/embedded-postgres/sync-folder.ts'
import { ENCRYPTION_KEY_BYTES } from './domain/secret-envelope.ts'

const FILE_NAME = 'encryption.key'

/**
 * The key in `dataDir`, made on first use. Throws when the file is there but is not a key: a new
 * one would make every stored secret unreadable.
 */
export async function loadOrCreateEncryptionKey(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, FILE_NAME)
  // Looked for first: a start that has its key needs no room on the disk.
  let text = await readIfThere(path)
  if (text === undefined) {
    const made = randomBytes(ENCRYPTION_KEY_BYTES)
    if (await publishIfAbsent(path, `${made.toString('base64')}\n`)) return made
    text = await readFile(path, 'utf8')
  }
  const stored = Buffer.from(text.trim(), 'base64')
  if (stored.length !== ENCRYPTION_KEY_BYTES) {
    throw new Error(
      `${path} is not an encryption key of ${ENCRYPTION_KEY_BYTES} bytes; restore it from a backup`,
    )
  }
  return stored
}

/** A crash leaves the whole file or none: half a key would keep every later start from coming up. */
async function publishIfAbsent(path: string, text: string): Promise<boolean> {
  // A name of its own, so that two starters at once do not take it from each other.
  const draft = `${path}.${randomBytes(6).toString('hex')}.draft`
  const file = await open(draft, 'wx', 0o600)
  try {
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path)
    // Secrets that it seals are durable; after a power cut nothing else could open them.
    await syncFolder(dirname(path))
    return true
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    throw error
  } finally {
    await rm(draft)
  }
}
