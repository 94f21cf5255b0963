/** @module A workspace of a platform process: made over HTTP, looked at from outside. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import type { PlatformProcess } from './platform-process.ts'
import { processesMentioning } from './process-figures.ts'
import { argumentsOf } from './process-probe.ts'
import { recordSecret } from './secret-ledger.ts'

const RUNTIME_ENTRY = 'workspace-runtime/src/main.ts'
const ONLINE_WITHIN_MS = 30_000

export class OnlineWorkspace {
  readonly id: string
  /** The folder of its box on this machine. */
  readonly dir: string
  readonly #url: string
  #token = ''

  private constructor(platform: PlatformProcess, id: string) {
    this.id = id
    this.dir = join(platform.dataDir, 'workspaces', id)
    this.#url = platform.url
  }

  /** Creates one, waits until it is online and mints a token for it. */
  static async create(platform: PlatformProcess, name: string): Promise<OnlineWorkspace> {
    const body = JSON.stringify({ name, runtime: 'echo' })
    const headers = { 'content-type': 'application/json' }
    const { id } = await json(`${platform.url}/workspaces`, { method: 'POST', body, headers })
    return OnlineWorkspace.reach(platform, String(id))
  }

  /** One that is there already, as it is known to a platform that was started again. */
  static async reach(platform: PlatformProcess, id: string): Promise<OnlineWorkspace> {
    const workspace = new OnlineWorkspace(platform, id)
    await eventually(() => workspace.#isOnline(), ONLINE_WITHIN_MS)
    await workspace.#obtainCredentials()
    return workspace
  }

  get token(): string {
    return this.#token
  }

  get authorization(): { readonly authorization: string } {
    return { authorization: `Bearer ${this.#token}` }
  }

  get uploadUrl(): URL {
    return new URL(`/workspaces/${this.id}/chat/uploads`, this.#url)
  }

  /** Takes a path on the wire or the `uri` of a stored file. */
  downloadUrl(pathOrUri: string): URL {
    const url = new URL(`/workspaces/${this.id}/chat/download`, this.#url)
    url.searchParams.set('path', pathOrUri.replace(/^workspace:/, ''))
    return url
  }

  /** The process ids of its runtime: one, unless something is wrong. */
  get runtimePids(): readonly number[] {
    return processesMentioning(this.dir).filter((pid) => isRuntime(pid))
  }

  get runtimePid(): number {
    const [pid, ...others] = this.runtimePids
    if (pid === undefined || others.length > 0) throw new Error('there is not exactly one runtime')
    return pid
  }

  get uploadsDir(): string {
    return join(this.dir, 'workspace/.molecule/chat-uploads')
  }

  /** Names in its upload folder, the hidden ones included. */
  get uploadNames(): readonly string[] {
    try {
      return readdirSync(this.uploadsDir).toSorted()
    } catch {
      // Made by the first upload.
      return []
    }
  }

  /** The hidden files that are being received, with how much of them has reached the disk. */
  get unfinishedUploads(): readonly { readonly name: string; readonly size: number }[] {
    return this.uploadNames
      .filter((name) => name.startsWith('.'))
      .map((name) => {
        const stat = statSync(join(this.uploadsDir, name), { throwIfNoEntry: false })
        return { name, size: stat?.size ?? 0 }
      })
  }

  /**
   * Waits for another runtime than the one that is known to have ended. A start revokes all tokens
   * of the workspace (contract/platform 7.5), so a new one is minted.
   */
  async untilRestarted(formerPid: number): Promise<void> {
    await eventually(async () => {
      const pids = this.runtimePids
      return pids.length === 1 && pids[0] !== formerPid && (await this.#isOnline())
    }, ONLINE_WITHIN_MS)
    await this.#obtainCredentials()
  }

  async #isOnline(): Promise<boolean> {
    return (await json(`${this.#url}/workspaces/${this.id}`))['status'] === 'online'
  }

  /** A token for the test; it and what the box holds are for the audit. */
  async #obtainCredentials(): Promise<void> {
    const minted = await json(`${this.#url}/admin/workspaces/${this.id}/test-token`)
    this.#token = String(minted['auth_token'])
    recordSecret(this.#token)
    for (const name of ['.auth_token', '.platform_inbound_secret']) {
      const path = join(this.dir, 'configs', name)
      // Those of a container are in its volume.
      if (existsSync(path)) recordSecret(readFileSync(path, 'utf8').trim())
    }
  }
}

function isRuntime(pid: number): boolean {
  try {
    // Inside a sandbox it lies elsewhere; the keepers around it have it among their arguments.
    const [program = '', ...args] = argumentsOf(pid)
    return program.endsWith('node') && args.some((each) => each.endsWith(RUNTIME_ENTRY))
  } catch {
    // It ended while we were looking.
    return false
  }
}

async function json(url: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const answer = await fetch(url, init)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status} ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}
