/**
 * @module Configuration files that come in the environment, as the credentials do: nobody could write
 * into the machine before it started (contract/platform 7.10).
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSecretFile, parseWorkspacePath } from '@atrium/path-safety/workspace-path'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import { z } from 'zod'

/** Contents in base64 by path below `/configs`. */
const handedFiles = z.record(z.string(), z.base64())

export type HandedFile = { readonly segments: readonly string[]; readonly content: Uint8Array }

/** Takes the files out of `env`, which is changed. Throws when they are not what a platform sends. */
export function takeHandedFiles(env: Record<string, string | undefined>): readonly HandedFile[] {
  const text = env[RUNTIME_ENV.configFiles]
  Reflect.deleteProperty(env, RUNTIME_ENV.configFiles)
  if (text === undefined || text === '') return []
  return Object.entries(parse(text)).map(([path, content]) => ({
    segments: segmentsOf(path),
    content: Buffer.from(content, 'base64'),
  }))
}

function parse(text: string): Readonly<Record<string, string>> {
  try {
    return handedFiles.parse(JSON.parse(text))
  } catch {
    // Its own words would repeat the content.
    throw new Error(`${RUNTIME_ENV.configFiles} is not a map of files`)
  }
}

function segmentsOf(path: string): readonly string[] {
  const verdict = parseWorkspacePath([`/configs/${path}`])
  if (verdict.ok && !isSecretFile(verdict.path)) return verdict.path.segments
  throw new Error(`${RUNTIME_ENV.configFiles} names a file that has no place`)
}

/**
 * Puts them below `directory`: those that are missing, and with `isNewer` all of them, each whole or
 * not at all. Throws the file system's error.
 */
export function keepHandedFiles(
  files: readonly HandedFile[],
  target: {
    readonly directory: string
    readonly isNewer: boolean
    readonly temporaryName: () => string
  },
): void {
  for (const { segments, content } of files) {
    const path = join(target.directory, ...segments)
    if (!target.isNewer && existsSync(path)) continue
    const folder = dirname(path)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const temporary = join(folder, target.temporaryName())
    try {
      writeFileSync(temporary, content, { flag: 'wx', mode: 0o600, flush: true })
      renameSync(temporary, path)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
  }
}
