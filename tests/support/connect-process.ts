/** @module `atrium connect` as a process of its own, the way a person starts it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { eventually } from './eventually.ts'

const MAIN = resolve(import.meta.dirname, '../../apps/cli/src/main.ts')

export type ConnectOptions = {
  readonly url: string
  readonly workspaceId: string
  readonly token: string
  /** Where it keeps what it remembers; the same for the next start of the same one. */
  readonly stateHome: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export type ConnectProcess = {
  readonly pid: number
  /** What it has said so far. */
  stdout(): string
  stderr(): string
  /** Resolves with its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>
  signal(name: 'SIGINT' | 'SIGKILL'): void
  /** Resolves once it says that it waits for messages. */
  connected(): Promise<void>
}

export function startConnect(options: ConnectOptions): ConnectProcess {
  const child: ChildProcess = spawn(
    process.execPath,
    [MAIN, 'connect', options.workspaceId, ...options.args],
    {
      cwd: options.cwd ?? options.stateHome,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        ATRIUM_URL: options.url,
        ATRIUM_TOKEN: options.token,
        XDG_STATE_HOME: options.stateHome,
        ...options.env,
      },
    },
  )
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const ended = new Promise<number | string>((settle) => {
    child.on('close', (code, signal) => settle(code ?? signal ?? 'unknown'))
  })
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  return {
    pid: child.pid ?? 0,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    ended,
    signal: (name) => {
      child.kill(name)
    },
    async connected() {
      await eventually(() => {
        if (isOver) throw new Error(`connect ended: ${said.stderr}`)
        return said.stderr.includes('waiting for messages')
      }, 60_000)
    },
  }
}

/** What it remembers, as it stands on disk; undefined while there is nothing. */
export function rememberedState(stateHome: string): { readonly text: string } | undefined {
  const folder = join(stateHome, 'atrium', 'connect')
  if (!existsSync(folder)) return undefined
  const [only] = readdirSync(folder)
  const path = join(folder, only ?? '', 'state.json')
  return only !== undefined && existsSync(path) ? { text: readFileSync(path, 'utf8') } : undefined
}
