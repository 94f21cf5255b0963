/** @module A new name is on the disk for good only when its folder is. */
import { open } from 'node:fs/promises'

/** Makes the names in a folder durable. Throws the file system's error. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
