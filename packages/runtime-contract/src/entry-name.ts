/** @module The name of an entry, which is bytes, as answers tell it: by one rule wherever they are made. */
import type { FolderEntry } from './file-inspection.ts'

/** With U+FFFD where it is not UTF-8, and then the bytes beside it. */
export function tellName(bytes: Buffer): Pick<FolderEntry, 'name' | 'name_base64'> {
  const name = bytes.toString('utf8')
  if (Buffer.from(name, 'utf8').equals(bytes)) return { name }
  return { name, name_base64: bytes.toString('base64') }
}
