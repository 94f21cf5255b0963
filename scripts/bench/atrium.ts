/** @module What is measured: the real platform with its database and one real workspace. */
import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { platformCommand } from '../platform-command.ts'
import { Child, findDescendant } from './child.ts'
import { type Target, type Upload, upload } from './load.ts'

const PROJECT_ROOT = resolve(import.meta.dirname, '../..')
const BOUNDARY = 'bench-boundary-7f3a'
const GIB = 1024 ** 3

export type StoredFile = { readonly download: Target; readonly file: string }

export class Atrium {
  readonly platformPid: number
  readonly runtimePid: number
  readonly #child: Child
  readonly #folder: string
  readonly #port: number
  readonly #workspaceId: string
  readonly #headers: Readonly<Record<string, string>>

  private constructor(facts: {
    readonly child: Child
    readonly folder: string
    readonly port: number
    readonly workspaceId: string
    readonly headers: Readonly<Record<string, string>>
    readonly runtimePid: number
  }) {
    this.#child = facts.child
    this.#folder = facts.folder
    this.#port = facts.port
    this.#workspaceId = facts.workspaceId
    this.#headers = facts.headers
    this.platformPid = facts.child.pid
    this.runtimePid = facts.runtimePid
  }

  /** Starts a platform under `folder` and waits until its workspace is online. */
  static async start(folder: string, options: { readonly fsync: boolean }): Promise<Atrium> {
    mkdirSync(folder, { recursive: true })
    const adminToken = randomBytes(24).toString('hex')
    const child = new Child(process.execPath, platformCommand(), {
      cwd: PROJECT_ROOT,
      env: environment(folder, adminToken, options.fsync),
    })
    const headers = { authorization: `Bearer ${adminToken}` }
    try {
      const url = await child.until('the platform starts', () => platformUrl(folder))
      const workspaceId = await createWorkspace(url, headers)
      await child.until('the workspace is online', () => isOnline(url, workspaceId))
      const runtimePid = await child.until('the runtime runs', () =>
        findDescendant(child.pid, 'workspace-runtime'),
      )
      const port = Number(new URL(url).port)
      return new Atrium({ child, folder, port, workspaceId, headers, runtimePid })
    } catch (error) {
      await child.end()
      throw error
    }
  }

  uploadJob(chunk: Buffer, times: number): Upload {
    return {
      port: this.#port,
      path: `/workspaces/${this.#workspaceId}/chat/uploads`,
      method: 'POST',
      headers: {
        ...this.#headers,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      },
      body: {
        first: Buffer.from(
          `--${BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="bench.bin"\r\n` +
            'content-type: application/octet-stream\r\n\r\n',
        ),
        middle: chunk,
        last: Buffer.from(`\r\n--${BOUNDARY}--\r\n`),
      },
      times,
    }
  }

  /** Uploads and says where the file is, for the wire and on this machine. */
  async store(chunk: Buffer, times: number): Promise<StoredFile> {
    const before = new Set(this.#storedFiles())
    await upload(this.uploadJob(chunk, times))
    const file = this.#storedFiles().find((each) => !before.has(each))
    if (file === undefined) throw new Error('the upload is not where uploads are')
    const name = file.split('/').at(-1) ?? ''
    const path = encodeURIComponent(`/workspace/.molecule/chat-uploads/${name}`)
    return {
      download: {
        port: this.#port,
        path: `/workspaces/${this.#workspaceId}/chat/download?path=${path}`,
        headers: this.#headers,
      },
      file,
    }
  }

  removeUploads(keep: readonly StoredFile[] = []): void {
    const kept = new Set(keep.map((each) => each.file))
    for (const file of this.#storedFiles()) if (!kept.has(file)) rmSync(file)
  }

  async end(): Promise<void> {
    await this.#child.end()
  }

  #storedFiles(): string[] {
    return globSync(`${this.#folder}/**/.molecule/chat-uploads/*-bench.bin`)
  }
}

function environment(folder: string, adminToken: string, fsync: boolean): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ATRIUM_MODE: 'development',
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_TOKEN: adminToken,
    ATRIUM_DATA_DIR: folder,
    RATE_LIMIT: '1000000000',
    ATRIUM_UPLOAD_FSYNC: fsync ? '1' : '0',
    ATRIUM_MAX_FILE_BYTES: String(4 * GIB),
    ATRIUM_MAX_REQUEST_BYTES: String(4 * GIB),
  }
}

function platformUrl(folder: string): string | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(join(folder, 'platform.json'), 'utf8'))
    return typeof state === 'object' && state !== null && 'url' in state
      ? String(state.url)
      : undefined
  } catch {
    // Not written yet, or half of it: asked again.
    return undefined
  }
}

async function createWorkspace(url: string, headers: Record<string, string>): Promise<string> {
  const response = await fetch(`${url}/workspaces`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', runtime: 'echo' }),
  })
  const body: unknown = await response.json()
  if (typeof body === 'object' && body !== null && 'id' in body) return String(body.id)
  throw new Error(`creating a workspace answered ${response.status} ${JSON.stringify(body)}`)
}

async function isOnline(url: string, workspaceId: string): Promise<true | undefined> {
  const response = await fetch(`${url}/workspaces/${workspaceId}`)
  const body: unknown = await response.json()
  const status = typeof body === 'object' && body !== null && 'status' in body ? body.status : ''
  if (status === 'failed') throw new Error(`the workspace failed: ${JSON.stringify(body)}`)
  return status === 'online' ? true : undefined
}
