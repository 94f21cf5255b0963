/** @module A platform of the soak: a real process, ended and started again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { platformCommand } from '../platform-command.ts'

/** Ends it when we are killed. */
const SETPRIV = '/usr/bin/setpriv'
/** A hosted platform answers to its own organisation only (contract/platform 1.0). */
export const ORG_HEADER = 'x-molecule-org-id'
const START_MS = 120_000
const STOP_MS = 60_000

export class Replica {
  readonly port: number
  readonly logPath: string
  readonly #folder: string
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined

  constructor(options: {
    readonly port: number
    readonly folder: string
    readonly env: Readonly<Record<string, string>>
  }) {
    this.port = options.port
    this.#folder = options.folder
    this.#env = options.env
    mkdirSync(options.folder, { recursive: true })
    this.logPath = join(options.folder, 'platform.log')
  }

  get isUp(): boolean {
    return this.#child !== undefined
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when it answers that it is ready; throws with the end of its log otherwise. */
  async start(): Promise<void> {
    const output = openSync(this.logPath, 'a')
    const tied = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--'] : []
    const [file = process.execPath, ...args] = [...tied, process.execPath, ...platformCommand()]
    const child = spawn(file, args, {
      cwd: this.#folder,
      stdio: ['ignore', output, output],
      env: {
        PATH: process.env['PATH'] ?? '',
        LANG: 'C.UTF-8',
        HOST: '127.0.0.1',
        PORT: String(this.port),
        ATRIUM_DATA_DIR: this.#folder,
        ...this.#env,
      },
    })
    closeSync(output)
    this.#child = child
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined
    })
    const deadline = performance.now() + START_MS
    while (!(await this.#isReady())) {
      if (this.#child !== child || performance.now() > deadline) {
        throw new Error(`a platform did not start:\n${this.log().slice(-3_000)}`)
      }
      await delay(100)
    }
  }

  /** Ends it: at once, or the way an operator does; resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const cut = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(cut)
  }

  log(): string {
    return readFileSync(this.logPath, 'utf8')
  }

  async #isReady(): Promise<boolean> {
    try {
      const headers = { [ORG_HEADER]: this.#env['MOLECULE_ORG_ID'] ?? '' }
      return (await fetch(`http://127.0.0.1:${this.port}/ready`, { headers })).ok
    } catch {
      // Not listening yet.
      return false
    }
  }
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  return address.port
}
