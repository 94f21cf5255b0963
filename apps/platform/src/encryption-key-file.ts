/** @module The embedded default of the encryption key: made once, kept beside the data, 0600. */
import { randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ENCRYPTION_KEY_BYTES } from './domain/secret-envelope.ts'

const FILE_NAME = 'encryption.key'

/**
 * The key in `dataDir`, made on first use. Throws when the file is there but is not a key: a new
 * one would make every stored secret unreadable.
 */
export async function loadOrCreateEncryptionKey(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, FILE_NAME)
  const made = randomBytes(ENCRYPTION_KEY_BYTES)
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(`${made.toString('base64')}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    return made
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  const stored = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64')
  if (stored.length !== ENCRYPTION_KEY_BYTES) {
    throw new Error(
      `${path} is not an encryption key of ${ENCRYPTION_KEY_BYTES} bytes; restore it from a backup`,
    )
  }
  return stored
}
