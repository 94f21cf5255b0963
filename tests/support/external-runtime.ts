/** @module The runtime as a process of its own that no provisioner started: it can be started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { eventually } from './eventually.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'

const MAIN = resolve(import.meta.dirname, '../../apps/workspace-runtime/src/main.ts')

export class ExternalRuntime {
  readonly #env: Record<string, string>
  readonly #base: string
  readonly #port: number
  readonly #logPath = runLogPath('external-runtime')
  #child: ChildProcess | undefined

  private constructor(base: string, port: number, env: Record<string, string>) {
    this.#base = base
    this.#port = port
    this.#env = env
  }

  /** Starts the runtime of a workspace that its platform does not start; it echoes. */
  static async start(
    platformUrl: string,
    workspace: { readonly id: string; readonly authToken: string },
  ): Promise<ExternalRuntime> {
    const base = mkdtempSync(join(tmpdir(), 'atrium-external-'))
    for (const root of ['configs', 'workspace', 'home', 'plugins']) {
      await mkdir(join(base, root))
    }
    writeFileSync(join(base, 'configs/config.yaml'), 'runtime: echo\n')
    writeFileSync(join(base, 'configs/.auth_token'), workspace.authToken, { mode: 0o600 })
    const runtime = new ExternalRuntime(base, await freePort(), {
      WORKSPACE_ID: workspace.id,
      PLATFORM_URL: platformUrl,
      ATRIUM_DELIVERY_MODE: 'push',
    })
    await runtime.#run()
    return runtime
  }

  /** Everything it has said so far. */
  get log(): string {
    return readFileSync(this.#logPath, 'utf8')
  }

  get inboundSecret(): string {
    const secret = readFileSync(join(this.#base, 'configs/.platform_inbound_secret'), 'utf8')
    recordSecret(secret)
    return secret
  }

  /** Ends it at once and starts it again where it was, with what its folders hold. */
  async restart(): Promise<void> {
    await this.#end()
    await this.#run()
  }

  async stop(): Promise<void> {
    await this.#end()
    rmSync(this.#base, { recursive: true, force: true })
  }

  async #run(): Promise<void> {
    const output = openSync(this.#logPath, 'a')
    this.#child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', output, output],
      env: {
        PATH: process.env['PATH'] ?? '',
        ATRIUM_ROOTS_DIR: this.#base,
        ATRIUM_LISTEN_HOST: '127.0.0.1',
        PORT: String(this.#port),
        ...this.#env,
      },
    })
    closeSync(output)
    await eventually(async () => {
      try {
        return (await fetch(`http://127.0.0.1:${this.#port}/health`)).ok
      } catch {
        // It does not listen yet.
        return false
      }
    })
  }

  async #end(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  probe.close()
  await once(probe, 'close')
  return address.port
}
