/** @module Reads the end of a workspace's console. What it says is hostile text. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/** Newest first. */
export const consoleFileNames = [
  'runtime.log',
  'runtime.log.1',
  'runtime.log.2',
  'runtime.log.3',
] as const

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * The last `maxBytes` of the console across its files; empty when there is none. No character is
 * cut in two, and nothing that a terminal would obey is left in it.
 */
export async function readConsoleTail(directory: string, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let missing = Math.max(0, Math.floor(maxBytes))
  for (const name of consoleFileNames) {
    if (missing === 0) break
    const part = await readEnd(join(directory, name), missing)
    parts.unshift(part)
    missing -= part.length
  }
  return printable(Buffer.concat(parts))
}

/** Text of a workspace without the parts that steer terminals (design/peers, coder log lines). */
export function printable(bytes: Buffer): string {
  let start = 0
  // RFC 3629: at most three continuation bytes follow a leading one.
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1
  const text = new TextDecoder().decode(bytes.subarray(start), { stream: true })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
  const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
  return stripVTControlCharacters(text.replaceAll('\r\n', '\n')).replaceAll(controls, '\ufffd')
}

async function readEnd(path: string, maxBytes: number): Promise<Buffer> {
  let file: FileHandle
  try {
    file = await open(path, READ)
  } catch (error) {
    // Not there yet, or the workspace put a link or a socket in its place.
    if (hasErrorCode(error, 'ENOENT', 'ELOOP', 'ENXIO', 'ENOTDIR')) return Buffer.alloc(0)
    throw error
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return Buffer.alloc(0)
    const length = Math.min(maxBytes, stat.size)
    if (length === 0) return Buffer.alloc(0)
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await file.read(buffer, 0, length, stat.size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
