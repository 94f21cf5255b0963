/** @module What a platform's data folder holds, kept for the audit before the folder goes. */
import { cp, readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { recordSecret, runLogPath } from './secret-ledger.ts'

/** Credentials of the boxes, of the embedded database, and the key that seals the others. */
const SECRET_FILES = new Set([
  '.auth_token',
  '.platform_inbound_secret',
  'password',
  'encryption.key',
])

/** Logs go where the audit looks; the credentials beside them into its list, never into a log. */
export async function keepForAudit(dataDir: string): Promise<void> {
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if (SECRET_FILES.has(entry.name)) recordSecret((await readFile(path, 'utf8')).trim())
    else if (entry.name.endsWith('.log')) await cp(path, runLogPath(basename(entry.name, '.log')))
  }
}
