/** @module The runtime as a process that can be killed and started again on the same folders. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  makeWorkspaceFolders,
  mintSecret,
  type Rpc,
  type WorkspaceFolders,
} from './agent-runtime.ts'
import { runLogPath } from './secret-ledger.ts'

const MAIN = resolve('apps/workspace-runtime/src/main.ts')
/** Nobody listens there: a runtime works without its platform. */
const NO_PLATFORM = 'http://127.0.0.1:9'

export type RestartableRuntime = {
  readonly folders: WorkspaceFolders
  url(): string
  /** `command` is JavaScript that becomes the agent; everything else is its config file. */
  start(
    config: { readonly command?: string; readonly concurrency?: number } & Record<string, unknown>,
  ): Promise<void>
  /** SIGKILL, and what it had started with it. */
  kill(): Promise<void>
  call(method: string, params: unknown, headers?: Record<string, string>): Promise<Rpc>
  post(method: string, params: unknown, headers?: Record<string, string>): Promise<Response>
  log(): string
  jobFolders(): readonly string[]
  close(): Promise<void>
}

export function restartableRuntime(): RestartableRuntime {
  const folders = makeWorkspaceFolders()
  const secret = mintSecret()
  const logFile = runLogPath('restartable-runtime')
  writeFileSync(join(folders.configs, '.platform_inbound_secret'), secret, { mode: 0o600 })
  writeFileSync(logFile, '')
  let child: ChildProcess | undefined
  let url = ''

  async function kill(): Promise<void> {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    ending.kill('SIGKILL')
    await once(ending, 'exit')
  }

  const post: RestartableRuntime['post'] = (method, params, headers) =>
    fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${secret}`,
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 'r-1', method, params }),
    })

  return {
    folders,
    url: () => url,
    async start({ command, concurrency = 1, ...config }) {
      const run = { command: process.execPath, args: ['-e', command ?? ''], concurrency }
      const text = { ...config, ...(command === undefined ? {} : { runtime_config: run }) }
      writeFileSync(join(folders.configs, 'config.yaml'), JSON.stringify(text))
      const started = spawn(process.execPath, [MAIN], {
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: {
          PATH: process.env['PATH'],
          WORKSPACE_ID: '6a1b6f0e-6f0b-4d1c-9a43-0a5c6b9d0c12',
          PLATFORM_URL: NO_PLATFORM,
          ATRIUM_ROOTS_DIR: folders.base,
          ATRIUM_LISTEN_HOST: '127.0.0.1',
          PORT: '0',
        },
      })
      child = started
      const log = createWriteStream(logFile, { flags: 'a' })
      started.stdout?.pipe(log)
      started.stderr?.pipe(log)
      const [message]: { readonly port: number }[] = await once(started, 'message')
      url = `http://127.0.0.1:${message?.port}`
    },
    kill,
    post,
    async call(method, params, headers) {
      const response = await post(method, params, headers)
      return { status: response.status, ...((await response.json()) as object) } as Rpc
    },
    log: () => readFileSync(logFile, 'utf8'),
    jobFolders: () => readdirSync(join(folders.workspace, '.atrium', 'jobs')),
    async close() {
      await kill()
      rmSync(folders.base, { recursive: true, force: true })
    },
  }
}
