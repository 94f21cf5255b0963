/** @module How tests ask for archives, and what programs of others find in them. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ArchiveFormat, FILE_ARCHIVE_PATH } from '@atrium/runtime-contract/file-inspection'
import { type Answer, open, type Sending, send } from './raw-client.ts'
import type { RuntimeHarness } from './runtime-harness.ts'
import { runtime } from './shared-runtime.ts'

const run = promisify(execFile)

export function archiveUrl(path: string, format: ArchiveFormat, of: RuntimeHarness = runtime): URL {
  const url = new URL(FILE_ARCHIVE_PATH, of.url)
  url.searchParams.set('path', path)
  url.searchParams.set('format', format)
  return url
}

/** The whole answer. */
export function archive(
  path: string,
  format: ArchiveFormat = 'tar',
  { of = runtime, ...sending }: Sending & { readonly of?: RuntimeHarness } = {},
): Promise<Answer> {
  return send(archiveUrl(path, format, of), authorized(of, sending))
}

/** The head; the body has not been read. */
export function openArchive(
  path: string,
  format: ArchiveFormat = 'tar',
  of: RuntimeHarness = runtime,
): Promise<IncomingMessage> {
  return open(archiveUrl(path, format, of), authorized(of, {}))
}

function authorized(of: RuntimeHarness, sending: Sending): Sending {
  return { ...sending, headers: { authorization: `Bearer ${of.secret}`, ...sending.headers } }
}

/** Names as GNU tar or Python's zipfile list them, folders with a slash at the end. */
export async function namesIn(body: Buffer, format: ArchiveFormat): Promise<readonly string[]> {
  return withFile(body, async (file) => {
    const { stdout } =
      format === 'zip'
        ? await run(PYTHON, ['-c', LIST_ZIP, file], OUTPUT)
        : await run('tar', ['--quoting-style=literal', '-tf', file], OUTPUT)
    return stdout.split('\n').filter((name) => name !== '')
  })
}

export type Unpacked = {
  readonly folder: string
  /** SHA-256 of every file by its path, and `folder` for every folder, as Latin-1 names. */
  readonly content: Readonly<Record<string, string>>
}

/**
 * Unpacks with GNU tar or Python's zipfile; `unzip`, where it is there, must find nothing to complain
 * about either. Removed after `look`.
 */
export async function unpacked(
  body: Buffer,
  format: ArchiveFormat,
  look: (unpacked: Unpacked) => void,
): Promise<void> {
  await withFile(body, async (file, scratch) => {
    const folder = join(scratch, 'unpacked')
    mkdirSync(folder)
    if (format === 'zip') {
      if (existsSync(UNZIP)) await run(UNZIP, ['-tqq', file], OUTPUT)
      await run(PYTHON, ['-c', UNPACK_ZIP, file, folder], OUTPUT)
    } else {
      await run('tar', ['-xpf', file, '-C', folder], OUTPUT)
    }
    look({ folder, content: contentOf(folder) })
  })
}

/** The same of a folder on this machine. */
export function contentOf(folder: string): Record<string, string> {
  return contentBelow(Buffer.from(folder), '')
}

function contentBelow(folder: Buffer, below: string): Record<string, string> {
  const content: Record<string, string> = {}
  for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) {
    const path = Buffer.concat([folder, Buffer.from('/'), entry.name])
    const name = `${below}${entry.name.toString('latin1')}`
    if (entry.isDirectory()) {
      content[name] = 'folder'
      Object.assign(content, contentBelow(path, `${name}/`))
    } else {
      content[name] = createHash('sha256').update(readFileSync(path)).digest('hex')
    }
  }
  return content
}

const OUTPUT = { maxBuffer: 64 * 1024 * 1024 }

/** Past the wrapper of a version manager, which takes longer than what it starts. */
export const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'
const UNZIP = '/usr/bin/unzip'

/** Checks every CRC as it reads; sets modes, which the library leaves out. */
const UNPACK_ZIP = `
import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for info in archive.infolist():
    os.chmod(archive.extract(info, sys.argv[2]), info.external_attr >> 16 & 0o7777)
`

const LIST_ZIP = 'import sys,zipfile\nfor n in zipfile.ZipFile(sys.argv[1]).namelist(): print(n)'

async function withFile<Result>(
  body: Buffer,
  use: (file: string, scratch: string) => Promise<Result>,
): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), 'atrium-archive-'))
  try {
    const file = join(scratch, 'archive')
    writeFileSync(file, body)
    return await use(file, scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
