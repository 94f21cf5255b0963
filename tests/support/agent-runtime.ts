/** @module The runtime app with its agent on a real socket and in real folders, without a platform. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { Agent, fetch as send } from 'undici'
import { type AgentPlane, createAgentPlane } from '../../apps/workspace-runtime/src/agent-plane.ts'
import { parseAgentSettings } from '../../apps/workspace-runtime/src/agent-settings.ts'
import { createApp } from '../../apps/workspace-runtime/src/app.ts'
import { openFilePlane } from '../../apps/workspace-runtime/src/files/file-plane.ts'
import { storeOpenedFile } from '../../apps/workspace-runtime/src/files/store-opened-file.ts'
import { InboundSecretStore } from '../../apps/workspace-runtime/src/secrets/inbound-secret-store.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'

export type WorkspaceFolders = {
  readonly base: string
  readonly configs: string
  readonly workspace: string
  readonly home: string
  readonly plugins: string
}

export function makeWorkspaceFolders(): WorkspaceFolders {
  const base = mkdtempSync(join(tmpdir(), 'atrium-runtime-'))
  const roots = ['configs', 'workspace', 'home', 'plugins'] as const
  for (const root of roots) mkdirSync(join(base, root), { mode: 0o700 })
  return {
    base,
    configs: join(base, 'configs'),
    workspace: join(base, 'workspace'),
    home: join(base, 'home'),
    plugins: join(base, 'plugins'),
  }
}

export function mintSecret(): string {
  const secret = randomBytes(32).toString('base64url')
  recordSecret(secret)
  return secret
}

export type Rpc = {
  readonly status: number
  readonly id: unknown
  readonly result: Record<string, unknown> | undefined
  readonly error: { code: number; message: string; data?: unknown } | undefined
}

export type AgentRuntime = {
  readonly url: string
  readonly folders: WorkspaceFolders
  readonly inboundSecret: string
  readonly authToken: string
  readonly plane: AgentPlane
  readonly logFile: string
  /** One JSON-RPC call with the platform's bearer. */
  call(method: string, params: unknown, headers?: Record<string, string>): Promise<Rpc>
  /** The events of a streaming call, to the end of the stream. */
  stream(method: string, params: unknown): AsyncGenerator<Record<string, unknown>>
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>
  /** The job folders that exist now. */
  jobFolders(): string[]
  close(): Promise<void>
}

export type AgentRuntimeOptions = {
  readonly config?: string
  readonly env?: Readonly<Record<string, string>>
  readonly isA2aOpen?: boolean
  readonly hasNotStarted?: boolean
  readonly startPatienceMs?: number
  readonly authToken?: string
  readonly platformUrl?: string
  /** Folders that are there already; they are removed at the end like fresh ones. */
  readonly folders?: WorkspaceFolders
}

/** Starts one; `config` is the text of its config.yaml. */
export async function startAgentRuntime(options: AgentRuntimeOptions = {}): Promise<AgentRuntime> {
  const folders = options.folders ?? makeWorkspaceFolders()
  const inboundSecret = mintSecret()
  const authToken = options.authToken ?? mintSecret()
  writeFileSync(join(folders.configs, '.platform_inbound_secret'), inboundSecret, { mode: 0o600 })
  writeFileSync(join(folders.configs, '.auth_token'), authToken, { mode: 0o600 })
  const parsed = parseAgentSettings(options.config ?? 'runtime: echo')
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  const logFile = runLogPath('agent-runtime')
  const log = pino({ level: 'debug' }, pino.destination({ dest: logFile, sync: true }))
  const files = openFilePlane({
    directories: folders,
    limits: { maxFileBytes: 2 ** 25, maxRequestBytes: 2 ** 26, maxFiles: 64 },
    isFsyncOn: false,
    idleTimeoutMs: 10_000,
    log,
    clock: systemClock,
    ids: systemIds,
  })
  let url = ''
  const plane = createAgentPlane({
    settings: parsed.settings,
    roots: folders,
    configsDir: folders.configs,
    isFsyncOn: true,
    log,
    clock: systemClock,
    ids: systemIds,
    openFile: (path) => files.roots.open(path),
    publish: ({ name, mimeType, ...source }, signal) =>
      storeOpenedFile(files.uploads, source, { description: { name, mimeType }, signal }),
    ownEnvironment: { PATH: process.env['PATH'] ?? '', ...options.env },
    credentials: () => [authToken, inboundSecret],
    platformUrl: options.platformUrl ?? 'http://127.0.0.1:9',
    nodePath: process.execPath,
    ownUrl: () => url,
    startPatienceMs: options.startPatienceMs ?? 200,
    onWorkChange: () => undefined,
  })
  await plane.open()
  const server = await listen(
    createApp({
      log,
      clock: systemClock,
      ids: systemIds,
      inboundSecret: new InboundSecretStore(folders.configs, {
        clock: systemClock,
        ids: systemIds,
        log,
        graceMs: 60_000,
        onChange: () => undefined,
      }),
      isA2aOpen: options.isA2aOpen ?? false,
      files,
      mountAgent: plane.mount,
    }),
    { host: '127.0.0.1', port: 0 },
  )
  url = `http://127.0.0.1:${server.port}`
  if (options.hasNotStarted !== true) await plane.host.start()
  const dispatcher = new Agent()
  async function post(body: string | Uint8Array, headers: Record<string, string> = {}) {
    const all = {
      'content-type': 'application/json',
      authorization: `Bearer ${inboundSecret}`,
      ...headers,
    }
    return (await send(url, {
      method: 'POST',
      headers: all,
      body,
      dispatcher,
    })) as unknown as Response
  }
  return {
    url,
    folders,
    inboundSecret,
    authToken,
    plane,
    logFile,
    post,
    async call(method, params, headers) {
      const response = await post(
        JSON.stringify({ jsonrpc: '2.0', id: 'c-1', method, params }),
        headers,
      )
      return { status: response.status, ...((await response.json()) as object) } as Rpc
    },
    async *stream(method, params) {
      const response = await post(JSON.stringify({ jsonrpc: '2.0', id: 's-1', method, params }))
      const type = response.headers.get('content-type')
      if (type !== 'text/event-stream' || response.body === null) {
        throw new Error(`not a stream: ${await response.text()}`)
      }
      for await (const frame of framesOf(response.body)) {
        if (frame.startsWith('data: ')) yield JSON.parse(frame.slice('data: '.length))
      }
    },
    jobFolders() {
      try {
        return readdirSync(join(folders.workspace, '.atrium', 'jobs'))
      } catch {
        // No job was started yet.
        return []
      }
    },
    async close() {
      await plane.stop()
      await plane.host.stop()
      await dispatcher.destroy()
      await server.close(1_000)
      files.close()
      rmSync(folders.base, { recursive: true, force: true })
    },
  }
}

/** What stands between blank lines, each as soon as it is whole. */
async function* framesOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + piece).split('\n\n')
    rest = frames.pop() ?? ''
    yield* frames
  }
}

/** Where the agent card is. */
export const CARD = '/.well-known/agent-card.json'

/** A 0.3 message of a user. */
export function userMessage(text: string, files: readonly object[] = [], extra: object = {}) {
  const texts = text === '' ? [] : [{ kind: 'text', text }]
  return {
    message: {
      kind: 'message',
      messageId: `m-${randomBytes(6).toString('hex')}`,
      role: 'user',
      parts: [...texts, ...files.map((file) => ({ kind: 'file', file }))],
      ...extra,
    },
  }
}
