/**
 * @module What the platform itself reads of a workspace, by the same rules as its clients: no link on
 * the way, regular files only, no credential by any name.
 *
 * The engine follows links inside the container's own file system, so whatever a workspace swaps while
 * it is looked at leads to a file of its own at most.
 */
import {
  AUTH_TOKEN_FILE,
  INBOUND_SECRET_FILE,
  isSecretFile,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import type { Container } from 'dockerode'
import { acceptedPath } from '../accepted-path.ts'
import { kindIn, readFileIn } from './box-archive.ts'
import { VOLUME_PLACES } from './box-names.ts'

const MAX_CREDENTIAL_BYTES = 64 * 1024

/**
 * The file's bytes, or undefined when nothing readable is there. Throws when it is larger than
 * `maxBytes`.
 */
export async function readBoxFile(
  container: Container,
  path: WorkspacePath,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (isSecretFile(path) || !(await isFile(container, path))) return undefined
  const bytes = await readFileIn(container, textOf(path.root, path.segments), maxBytes)
  if (bytes === undefined || path.root !== 'configs') return bytes
  return (await isCredential(container, bytes)) ? undefined : bytes
}

/** Whether a regular file lies there, below `/configs`. Throws AppError for an illegal path. */
export async function hasConfigFile(container: Container, relativePath: string): Promise<boolean> {
  return isFile(container, acceptedPath(`${VOLUME_PLACES.configs}/${relativePath}`))
}

async function isFile(container: Container, path: WorkspacePath): Promise<boolean> {
  for (let depth = 1; depth < path.segments.length; depth += 1) {
    const folder = textOf(path.root, path.segments.slice(0, depth))
    if ((await kindIn(container, folder)) !== 'folder') return false
  }
  return (await kindIn(container, textOf(path.root, path.segments))) === 'file'
}

/** By its second name it looks like any other file; the engine does not tell of names. */
async function isCredential(container: Container, bytes: Buffer): Promise<boolean> {
  for (const name of [AUTH_TOKEN_FILE, INBOUND_SECRET_FILE]) {
    const path = `${VOLUME_PLACES.configs}/${name}`
    const credential = await readFileIn(container, path, MAX_CREDENTIAL_BYTES)
    if (credential?.equals(bytes) === true) return true
  }
  return false
}

function textOf(root: string, segments: readonly string[]): string {
  return `/${[root, ...segments].join('/')}`
}
