/**
 * @module Single steps on numeric file descriptors, relative to a directory that is held open:
 * Node has no openat, but `/proc/self/fd/<fd>/<name>` resolves to the pinned directory and one
 * name (design/path-safety 1). Numbers and not FileHandles: a handle that is collected closes a
 * number that by then may be somebody else's.
 */
import {
  type BigIntStats,
  constants,
  fstatSync,
  lstat,
  open,
  read,
  readlink,
  readlinkSync,
  unlink,
} from 'node:fs'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/** Missing from `fs.constants`. Names an inode without opening it: no driver, no FIFO is touched. */
export const O_PATH = 0o10000000

const lookUp = promisify(lstat)
const openPath = promisify(open)
const readLink = promisify(readlink)
const removeName = promisify(unlink)
const readInto = promisify(read)

/** The path under which the kernel finds what `fd` is, or `name` in the directory that it is. */
export function procPath(fd: number, name?: string): string {
  return name === undefined ? `/proc/self/fd/${fd}` : `/proc/self/fd/${fd}/${name}`
}

/**
 * A name as its bytes, each of them one character (Latin-1): not every name is UTF-8, and strings
 * compare as the bytes do. Made of text by `bytesOf`, never shown to anybody.
 */
export type ByteName = string

export function bytesOf(text: string): ByteName {
  return Buffer.from(text).toString('latin1')
}

/** The text of a name, with U+FFFD in place of what is not UTF-8. */
export function textOf(name: ByteName): string {
  return Buffer.from(name, 'latin1').toString()
}

/** `procPath` for a name of any bytes. */
export function procBytesPath(directory: number, name: ByteName): Buffer {
  return Buffer.from(procPath(directory, name), 'latin1')
}

/** Opens one name in a directory, following nothing. Rejects with the system's error. */
export function openAt(directory: number, name: string, flags: number): Promise<number> {
  return openPath(procPath(directory, name), flags | constants.O_NOFOLLOW)
}

/** `openAt` for a name of any bytes. */
export function openBytesAt(directory: number, name: ByteName, flags: number): Promise<number> {
  return openPath(procBytesPath(directory, name), flags | constants.O_NOFOLLOW)
}

/** What is under that name, a link itself and not what it leads to. */
export function lstatAt(directory: number, name: ByteName): Promise<BigIntStats> {
  return lookUp(procBytesPath(directory, name), { bigint: true })
}

/** Where the link of that name leads, as its bytes. `EINVAL` when it is no link. */
export function readLinkAt(directory: number, name: ByteName): Promise<ByteName> {
  return readLink(procBytesPath(directory, name), 'latin1')
}

// Nobody but us, until the file is whole.
const PRIVATE_MODE = 0o600

/** Creates a file for writing that did not exist under any form, dangling links included. */
export function createAt(directory: number, name: string): Promise<number> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  return openPath(procPath(directory, name), flags, PRIVATE_MODE)
}

/** Removes a name in a directory. Returns false when somebody else has removed it before. */
export async function removeIfThere(directory: number, name: string): Promise<boolean> {
  try {
    await removeName(procPath(directory, name))
    return true
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return false
    throw error
  }
}

/** Opens what `fd` already names, with other access; there is no name that could be swapped. */
export function reopen(fd: number, flags: number): Promise<number> {
  return openPath(procPath(fd), flags)
}

/** Where the thing behind `fd` is now; ends in ` (deleted)` when it is nowhere. */
export function currentPathOf(fd: number): string {
  return readlinkSync(procPath(fd))
}

/** `currentPathOf` as bytes. */
export function currentBytesPathOf(fd: number): ByteName {
  return readlinkSync(procPath(fd), 'latin1')
}

export function statOf(fd: number): BigIntStats {
  return fstatSync(fd, { bigint: true })
}

/**
 * Fills the buffer from that position of the file on, and says how much of it: less than all of it
 * only where the file ends. A read that was cut short by a signal is continued.
 */
export async function readAt(fd: number, buffer: Buffer, position: number): Promise<number> {
  let length = 0
  while (length < buffer.length) {
    const wanted = buffer.length - length
    const { bytesRead } = await readInto(fd, buffer, length, wanted, position + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return length
}
