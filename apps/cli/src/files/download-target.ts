/** @module Where on this computer something from a workspace goes, and that it may go there. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { safeFileName } from '@atrium/path-safety/file-name'
import { usageFailure } from '../failure.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { DownloadTarget } from './download-file.ts'
import { existsFailure } from './publish-download.ts'

/** `output` as `-o` had it: a file, a folder, or `-`. */
export type OutputOptions = { readonly output?: string; readonly force: boolean }

/** `directory`, `other` (a file, a device, anything) or `absent`. */
async function kindOf(path: string): Promise<'directory' | 'other' | 'absent'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other'
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return 'absent'
    throw usageFailure(`cannot use ${path} as the output`)
  }
}

/**
 * Where the file goes. A name that the user typed is taken literally and never overwritten without
 * `--force`; `remoteName` comes from the workspace and is made harmless and numbered instead.
 */
export async function chooseTarget(
  cwd: string,
  remoteName: string,
  options: OutputOptions,
): Promise<DownloadTarget> {
  const offeredName = safeFileName(remoteName)
  if (options.output === undefined) {
    return { path: join(cwd, offeredName), mode: 'number', label: offeredName }
  }
  const wanted = resolve(cwd, options.output)
  const kind = await kindOf(wanted)
  if (kind === 'directory') {
    return { path: join(wanted, offeredName), mode: 'number', label: offeredName }
  }
  if (kind === 'other' && !options.force) throw existsFailure(options.output)
  return { path: wanted, mode: options.force ? 'replace' : 'refuse', label: options.output }
}

/**
 * Whether the bytes go to standard output. Throws a usage failure when that is a terminal, which
 * would obey them, or is wanted for JSON.
 */
export function isToStdout({ output }: OutputOptions, terminal: Terminal): boolean {
  if (output !== '-') return false
  if (terminal.isJson) throw usageFailure('-o - and --json both want standard output')
  if (terminal.stdout.isTTY === true) {
    throw usageFailure('a file may contain control sequences: pipe it somewhere, or use -o FILE')
  }
  return true
}
