/**
 * @module The records of a zip (APPNOTE 6.3.10): stored, streamed, with zip64 where numbers need it.
 * An entry's CRC is known behind its bytes only, so it stands in a descriptor there, and in the
 * directory at the end.
 */
import type { ArchiveEntry } from './archive-entry.ts'

const MAX_16 = 0xffff
const MAX_32 = 0xffff_ffff
const VERSION_PLAIN = 20
const VERSION_ZIP64 = 45
/** Made on Unix, so that the upper half of the attributes is `st_mode`. */
const MADE_BY = (3 << 8) | VERSION_ZIP64
/** Bit 3: CRC and sizes stand behind the bytes; bit 11: names are UTF-8. */
const FLAG_DESCRIPTOR = 1 << 3
const FLAG_UTF8 = 1 << 11
const S_IFREG = 0o100000
const S_IFDIR = 0o040000
const DOS_FOLDER = 0x10
const EXTRA_ZIP64 = 0x0001
const EXTRA_TIME = 0x5455

export type ZipEntry = {
  readonly entry: ArchiveEntry
  readonly name: Buffer
  /** Where its local header stands. */
  readonly offset: number
  /** Of the bytes so far, and how many there were. */
  crc: number
  written: number
}

/** In front of the bytes. */
export function localHeader({ entry, name }: ZipEntry): Buffer {
  const isZip64 = isLarge(entry)
  const extra = isZip64 ? zip64Extra([0, 0]) : Buffer.alloc(0)
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x0403_4b50, 0)
  header.writeUInt16LE(isZip64 ? VERSION_ZIP64 : VERSION_PLAIN, 4)
  header.writeUInt16LE(flagsOf(entry), 6)
  writeDosTime(header, 10, entry.mtimeSeconds)
  // With zip64 the sizes are in the extra field; in the descriptor either way.
  header.writeUInt32LE(isZip64 ? MAX_32 : 0, 18)
  header.writeUInt32LE(isZip64 ? MAX_32 : 0, 22)
  header.writeUInt16LE(name.length, 26)
  header.writeUInt16LE(extra.length, 28)
  return Buffer.concat([header, name, extra])
}

/** Behind the bytes of a file. */
export function descriptor({ entry, crc, written }: ZipEntry): Buffer {
  const isZip64 = isLarge(entry)
  const bytes = Buffer.alloc(isZip64 ? 24 : 16)
  bytes.writeUInt32LE(0x0807_4b50, 0)
  bytes.writeUInt32LE(crc, 4)
  if (isZip64) {
    bytes.writeBigUInt64LE(BigInt(written), 8)
    bytes.writeBigUInt64LE(BigInt(written), 16)
  } else {
    bytes.writeUInt32LE(written, 8)
    bytes.writeUInt32LE(written, 12)
  }
  return bytes
}

/** In the directory at the end. */
export function directoryRecord({ entry, name, crc, written, offset }: ZipEntry): Buffer {
  const isZip64 = isLarge(entry)
  const isFar = offset >= MAX_32
  const wide = [...(isZip64 ? [written, written] : []), ...(isFar ? [offset] : [])]
  const extra = Buffer.concat([
    timeExtra(entry.mtimeSeconds),
    wide.length > 0 ? zip64Extra(wide) : Buffer.alloc(0),
  ])
  const isFolder = entry.kind === 'folder'
  const record = Buffer.alloc(46)
  record.writeUInt32LE(0x0201_4b50, 0)
  record.writeUInt16LE(MADE_BY, 4)
  record.writeUInt16LE(wide.length > 0 ? VERSION_ZIP64 : VERSION_PLAIN, 6)
  record.writeUInt16LE(flagsOf(entry), 8)
  writeDosTime(record, 12, entry.mtimeSeconds)
  record.writeUInt32LE(crc, 16)
  record.writeUInt32LE(isZip64 ? MAX_32 : written, 20)
  record.writeUInt32LE(isZip64 ? MAX_32 : written, 24)
  record.writeUInt16LE(name.length, 28)
  record.writeUInt16LE(extra.length, 30)
  record.writeUInt16LE(isFolder ? DOS_FOLDER : 0, 38)
  record.writeUInt16LE((isFolder ? S_IFDIR : S_IFREG) | entry.mode, 40)
  record.writeUInt32LE(isFar ? MAX_32 : offset, 42)
  return Buffer.concat([record, name, extra])
}

/** How many entries there are, where their directory starts, and how long it is. */
type Directory = { readonly count: number; readonly start: number; readonly bytes: number }

export function endRecord({ count, start, bytes }: Directory): Buffer {
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x0605_4b50, 0)
  end.writeUInt16LE(Math.min(count, MAX_16), 8)
  end.writeUInt16LE(Math.min(count, MAX_16), 10)
  end.writeUInt32LE(Math.min(bytes, MAX_32), 12)
  end.writeUInt32LE(Math.min(start, MAX_32), 16)
  if (count < MAX_16 && start < MAX_32) return end
  const wide = Buffer.alloc(76)
  wide.writeUInt32LE(0x0606_4b50, 0)
  wide.writeBigUInt64LE(44n, 4)
  wide.writeUInt16LE(MADE_BY, 12)
  wide.writeUInt16LE(VERSION_ZIP64, 14)
  wide.writeBigUInt64LE(BigInt(count), 24)
  wide.writeBigUInt64LE(BigInt(count), 32)
  wide.writeBigUInt64LE(BigInt(bytes), 40)
  wide.writeBigUInt64LE(BigInt(start), 48)
  wide.writeUInt32LE(0x0706_4b50, 56)
  wide.writeBigUInt64LE(BigInt(start + bytes), 64)
  wide.writeUInt32LE(1, 72)
  return Buffer.concat([wide, end])
}

/** 0xffffffff itself says that the number is elsewhere. */
function isLarge({ size }: ArchiveEntry): boolean {
  return size >= MAX_32
}

function flagsOf({ kind }: ArchiveEntry): number {
  return kind === 'file' ? FLAG_UTF8 | FLAG_DESCRIPTOR : FLAG_UTF8
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * values.length)
  extra.writeUInt16LE(EXTRA_ZIP64, 0)
  extra.writeUInt16LE(extra.length - 4, 2)
  for (const [index, value] of values.entries()) {
    extra.writeBigUInt64LE(BigInt(value), 4 + 8 * index)
  }
  return extra
}

/** Of Info-ZIP: seconds in UTC, which the format itself has no place for. 32 bits, until 2038. */
function timeExtra(mtimeSeconds: number): Buffer {
  const extra = Buffer.alloc(9)
  extra.writeUInt16LE(EXTRA_TIME, 0)
  extra.writeUInt16LE(5, 2)
  extra.writeUInt8(1, 4)
  extra.writeInt32LE(Math.min(mtimeSeconds, 0x7fff_ffff), 5)
  return extra
}

const FIRST_DOS_YEAR = 1980
const LAST_DOS_YEAR = 2107

/** Two seconds exact, in UTC here, and not before 1980. */
function writeDosTime(target: Buffer, offset: number, mtimeSeconds: number): void {
  const date = new Date(mtimeSeconds * 1000)
  const year = Math.min(Math.max(date.getUTCFullYear(), FIRST_DOS_YEAR), LAST_DOS_YEAR)
  const time =
    (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1)
  const day = ((year - FIRST_DOS_YEAR) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate()
  target.writeUInt16LE(time, offset)
  target.writeUInt16LE(day, offset + 2)
}
