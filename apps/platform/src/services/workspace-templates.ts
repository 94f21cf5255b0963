/**
 * @module Folders that new workspaces are made from (contract/platform 7.1, 7.8): one below
 * `CONFIGS_DIR` each, with a `config.yaml` and whatever else belongs into `/configs`.
 *
 * Operators put them there, and clients name them: a name leads nowhere else, no link is followed,
 * and what a workspace could not be given is refused before anything is stored.
 */
import { constants } from 'node:fs'
import { lstat, open, readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@atrium/http-kit/app-error'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import {
  isHiddenUploadTemporary,
  isSecretFile,
  parseWorkspacePath,
} from '@atrium/path-safety/workspace-path'
import { parseTemplateConfig, type TemplateConfig } from '../domain/template-config.ts'
import { CONFIG_FILE_NAME } from './workspace-config-file.ts'

const MAX_FILES = 256
const MAX_BYTES = 4 * 1024 * 1024
const MAX_CONFIG_BYTES = 256 * 1024
/** Of folders that are looked through for a name. */
const MAX_TEMPLATES = 1000

export type WorkspaceTemplate = {
  readonly name: string
  readonly config: TemplateConfig
}

export class WorkspaceTemplates {
  readonly #directory: string | undefined

  /** undefined: this platform has none. */
  constructor(directory: string | undefined) {
    this.#directory = directory
  }

  /** The template of that name with everything in it judged. Throws `invalid_template`. */
  async get(name: string): Promise<WorkspaceTemplate> {
    const files = await this.readFiles(name)
    const config = files.get(CONFIG_FILE_NAME)
    if (config === undefined) throw invalid(`template ${name} has no ${CONFIG_FILE_NAME}`)
    return { name, config: configOf(name, config) }
  }

  /** The files of a template by their path below `/configs`. Throws `invalid_template`. */
  async readFiles(name: string): Promise<ReadonlyMap<string, Uint8Array>> {
    const folder = await this.#folderOf(name)
    const files = new Map<string, Uint8Array>()
    let left = MAX_BYTES
    for await (const path of filesBelow(folder)) {
      requireAcceptable(path)
      if (files.size >= MAX_FILES)
        throw invalid(`template ${name} has more than ${MAX_FILES} files`)
      const bytes = await readRegularFile(join(folder, path), left)
      left -= bytes.byteLength
      files.set(path, bytes)
    }
    return files
  }

  /** What the template's `config.yaml` says, as far as it can still be read. */
  async findConfig(name: string): Promise<TemplateConfig | undefined> {
    try {
      const folder = await this.#folderOf(name)
      return configOf(name, await readRegularFile(join(folder, CONFIG_FILE_NAME), MAX_CONFIG_BYTES))
    } catch (error) {
      if (error instanceof AppError) return undefined
      throw error
    }
  }

  /**
   * The template that belongs to a workspace of this name: a folder called so (`Data Team` is
   * `data-team`), else one whose `config.yaml` has this name; undefined when there is none.
   */
  async findByWorkspaceName(workspaceName: string): Promise<WorkspaceTemplate | undefined> {
    if (this.#directory === undefined) return undefined
    const folder = workspaceName.trim().toLowerCase().replaceAll(/\s+/g, '-')
    const config = await this.findConfig(folder)
    if (config !== undefined) return { name: folder, config }
    const names = (await readdir(this.#directory)).toSorted().slice(0, MAX_TEMPLATES)
    for (const name of names) {
      const found = await this.findConfig(name)
      if (found?.name === workspaceName) return { name, config: found }
    }
    return undefined
  }

  async #folderOf(name: string): Promise<string> {
    if (this.#directory === undefined) {
      throw new AppError('invalid_template', {
        message: 'invalid template: this platform has no templates (CONFIGS_DIR)',
      })
    }
    // One rule for everything that becomes a path below /configs.
    const verdict = parseWorkspacePath([`/configs/${name}`])
    if (!verdict.ok) throw invalid('a name that is no path')
    const top = await realpath(this.#directory)
    const folder = join(top, ...verdict.path.segments)
    try {
      // A link on the way would make another path of it.
      if ((await realpath(folder)) === folder && (await lstat(folder)).isDirectory()) return folder
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) throw error
    }
    throw invalid(`no template folder ${name}`)
  }
}

async function* filesBelow(folder: string, prefix = ''): AsyncGenerator<string> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(folder, path)
    else if (entry.isFile()) yield path
    else throw invalid('a link or a special file in a template')
  }
}

function requireAcceptable(path: string): void {
  const verdict = parseWorkspacePath([`/configs/${path}`])
  if (!verdict.ok || isSecretFile(verdict.path) || isHiddenUploadTemporary(verdict.path)) {
    throw invalid('a file in a template that no workspace may have')
  }
}

/** The whole file. Throws `invalid_template` when it is larger than `maxBytes`. */
async function readRegularFile(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    await using file = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    const stat = await file.stat()
    if (!stat.isFile()) throw invalid('a link or a special file in a template')
    if (stat.size > maxBytes) throw invalid(`more than ${MAX_BYTES} bytes in a template`)
    const bytes = await file.readFile()
    if (bytes.byteLength > maxBytes) throw invalid('a template that grows')
    return bytes
  } catch (error) {
    if (error instanceof AppError) throw error
    throw invalid('a file in a template that cannot be read', error)
  }
}

function configOf(name: string, bytes: Uint8Array): TemplateConfig {
  const config = parseTemplateConfig(bytes)
  if (config === undefined) throw invalid(`${CONFIG_FILE_NAME} of template ${name} is not valid`)
  return config
}

function invalid(internal: string, cause?: unknown): AppError {
  return new AppError('invalid_template', { internal, cause })
}
