/** @module Names of a file system, which are bytes, as names in an archive, which are text. */
import type { ByteName } from './descriptor.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ESCAPED = /[%\u0080-\u00ff]/g

/**
 * The name as text. Names that are not UTF-8 have no spelling that every reader of archives takes:
 * in such a name, every byte from 0x80 on and every `%` becomes `%` and two digits of upper-case hex.
 * So two names of that kind never look alike, and every other name stays what it is.
 */
export function archiveName(name: ByteName): string {
  try {
    return UTF8.decode(Buffer.from(name, 'latin1'))
  } catch {
    return name.replace(ESCAPED, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  }
}

/**
 * The path as a zip names it. To readers on Windows a backslash parts folders, and `C:` is a disk:
 * unescaped, a file called `..\..\x` would be put outside of where it is unpacked.
 */
export function zipName(path: string): string {
  return path.replaceAll('\\', '%5C').replace(/^([^/]*?):/, '$1%3A')
}
