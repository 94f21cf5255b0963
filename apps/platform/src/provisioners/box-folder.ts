/** @module The folder of one workspace on this machine: what lies where, and what is written there. */
import { join } from 'node:path'
import process from 'node:process'
import { AppError } from '@atrium/http-kit/app-error'
import type { Ids } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import type { Secret } from '@atrium/http-kit/secret'
import {
  AUTH_TOKEN_FILE,
  INBOUND_SECRET_FILE,
  isSecretFile,
} from '@atrium/path-safety/workspace-path'
import { acceptedPath } from './accepted-path.ts'
import { AnchoredFolder } from './anchored-folder.ts'
import type { Owner } from './box-user.ts'
import type { StartInput } from './provisioner.ts'

/** The four roots of the wire (design/architecture 4) and the temporary folder: the workspace's. */
const OWN_FOLDERS = ['configs', 'workspace', 'home', 'plugins', 'tmp'] as const
const TEMPORARY_NAME = /^\.[0-9a-f]{32}\.part$/

export type BoxPaths = {
  readonly root: string
  readonly configs: string
  readonly workspace: string
  readonly home: string
  readonly plugins: string
  readonly logs: string
  readonly temporary: string
}

export function boxPaths(baseDir: string, workspaceId: string): BoxPaths {
  const root = join(baseDir, workspaceId)
  return {
    root,
    configs: join(root, 'configs'),
    workspace: join(root, 'workspace'),
    home: join(root, 'home'),
    plugins: join(root, 'plugins'),
    logs: join(root, 'logs'),
    temporary: join(root, 'tmp'),
  }
}

/**
 * Makes the folders (0700), empties the temporary one and writes configuration and credentials
 * (0600, whole or not at all). Throws when a configuration path is not acceptable, when a folder is
 * a link, or on a full disk; the next call starts over.
 */
export async function prepareBoxFolder(
  target: {
    readonly baseDir: string
    readonly ids: Ids
    /** Whom the workspace's own folders belong to; undefined: this process's user. */
    readonly owner: Owner | undefined
  },
  input: StartInput,
): Promise<void> {
  await using base = await AnchoredFolder.open(target.baseDir)
  await using root = await base.openFolder(input.workspaceId)
  for (const name of await root.names()) {
    if (TEMPORARY_NAME.test(name)) await root.remove(name)
  }
  await root.remove('tmp')
  await using _logs = await root.openFolder('logs')
  for (const name of OWN_FOLDERS) {
    await using folder = await root.openFolder(name)
    await folder.giveTo(target.owner ?? ownUser())
  }
  await using configs = await root.openFolder('configs')
  const staging = () => ({ folder: root, temporaryName: `.${target.ids.hex(16)}.part` })
  for (const [path, content] of input.configFiles) {
    await writeConfigFile(configs, configSegments(path), { content, staging })
  }
  const { authToken, inboundSecret } = input.credentials
  await configs.writeFile(AUTH_TOKEN_FILE, authToken.reveal(), staging())
  await configs.writeFile(INBOUND_SECRET_FILE, inboundSecret.reveal(), staging())
}

function ownUser(): Owner {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
}

/** Replaces a credential of a workspace that has a folder, 0600 and whole; false when it has none. */
export async function replaceCredential(
  target: { readonly paths: BoxPaths; readonly ids: Ids },
  name: typeof AUTH_TOKEN_FILE | typeof INBOUND_SECRET_FILE,
  credential: Secret,
): Promise<boolean> {
  try {
    await using root = await AnchoredFolder.open(target.paths.root)
    await using configs = await root.openFolder('configs')
    await configs.writeFile(name, credential.reveal(), {
      folder: root,
      temporaryName: `.${target.ids.hex(16)}.part`,
    })
    return true
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return false
    throw error
  }
}

type ConfigFile = {
  readonly content: Uint8Array
  readonly staging: () => { readonly folder: AnchoredFolder; readonly temporaryName: string }
}

async function writeConfigFile(
  folder: AnchoredFolder,
  segments: readonly string[],
  file: ConfigFile,
): Promise<void> {
  const [name, ...rest] = segments
  if (name === undefined) throw new Error('a configuration file needs a name')
  if (rest.length === 0) return folder.writeFile(name, file.content, file.staging())
  await using inner = await folder.openFolder(name)
  await writeConfigFile(inner, rest, file)
}

/**
 * A path below `/configs`, taken apart. The same rule as for paths on the wire, so that no template
 * writes what no client could read. Throws AppError.
 */
export function configSegments(relativePath: string): readonly string[] {
  const path = acceptedPath(`/configs/${relativePath}`)
  if (isSecretFile(path)) throw new AppError('invalid_path', { internal: 'a credential by name' })
  return path.segments
}
