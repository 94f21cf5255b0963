/** @module Paths as bytes: the names that a workspace gives need not be UTF-8. */
import { sep } from 'node:path'

export function pathBelow(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from(sep), name])
}
