/**
 * @module A small real host of job control (contract/shellctl): jobs are processes of `sh` in
 * pseudo-terminals of the size that is asked for, their output lies in files. It can be told to
 * misbehave, and knows which jobs nobody deleted.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { PseudoTerminals } from './pseudo-terminals.ts'
import { recordSecret } from './secret-ledger.ts'
import { ShellctlJob } from './shellctl-job.ts'

/** Answers a request in place of the server, or returns false and leaves it to the server. */
export type Misbehaviour = (call: ShellctlCall, response: ServerResponse) => boolean

export type ShellctlCall = {
  readonly method: string
  /** Without the base path. */
  readonly path: string
  readonly body: Record<string, unknown>
}

export type ShellctlOptions = {
  readonly python: string
  readonly basePath?: string
}

class ApiFailure extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

export class ShellctlServer {
  readonly token = `shellctl-${process.hrtime.bigint()}-${process.pid}`
  /** Of the jobs; `~/workspace/<session id>` is below it. */
  readonly home: string
  readonly url: URL
  /** Everything that was asked, oldest first. */
  readonly calls: ShellctlCall[] = []
  /** How many jobs there were at once at most, and how much of their output was told. */
  mostJobs = 0
  toldBytes = 0
  /** What every job starts with, in front of its script. */
  prelude = ''
  /** Put between what a job wrote and what is told of it; by default nothing is changed. */
  tamper: (result: Record<string, unknown>) => Record<string, unknown> = (result) => result
  misbehave: Misbehaviour = () => false
  readonly #options: ShellctlOptions
  readonly #server: Server
  readonly #terminals: PseudoTerminals
  readonly #outputs = mkdtempSync(join(tmpdir(), 'atrium-shellctl-'))
  readonly #jobs = new Map<string, ShellctlJob>()
  #made = 0

  private constructor(options: ShellctlOptions, server: Server) {
    this.#options = options
    this.#server = server
    this.home = join(this.#outputs, 'home')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    this.url = new URL(`http://127.0.0.1:${address.port}${options.basePath ?? ''}`)
    this.#terminals = new PseudoTerminals(options.python, (event) => {
      this.#jobs.get(event.id)?.take(event)
    })
    recordSecret(this.token)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response)
    })
  }

  static async start(options: ShellctlOptions): Promise<ShellctlServer> {
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return new ShellctlServer(options, server)
  }

  /** Ids of the jobs that are there, ended or not. */
  get left(): readonly string[] {
    return [...this.#jobs.keys()]
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await this.#terminals.close()
    rmSync(this.#outputs, { recursive: true, force: true })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined)
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const text = Buffer.concat(pieces).toString()
    const url = new URL(request.url ?? '/', this.url)
    const base = this.#options.basePath ?? ''
    if (!url.pathname.startsWith(base)) return reply(response, 404, { detail: 'Not Found' })
    const path = `${url.pathname.slice(base.length)}${url.search}`
    const body: Record<string, unknown> = text === '' ? {} : JSON.parse(text)
    const call = { method: request.method ?? '', path, body }
    this.calls.push(call)
    if (this.misbehave(call, response)) return
    try {
      if (request.headers.authorization !== `Bearer ${this.token}`) {
        throw new ApiFailure(401, 'unauthorized')
      }
      reply(response, 200, await this.#answer(call))
    } catch (error) {
      const known = error instanceof ApiFailure ? error : new ApiFailure(500, 'internal')
      reply(response, known.status, { error: { code: known.code, message: 'not this time' } })
    }
  }

  async #answer(call: ShellctlCall): Promise<unknown> {
    const url = new URL(call.path, this.url)
    const [, version, jobs, id = '', verb] = url.pathname.split('/')
    if (version !== 'v1' || jobs !== 'jobs') throw new ApiFailure(404, 'not_found')
    if (call.method === 'POST' && id === 'run') return this.#told(await this.#run(call.body))
    const job = this.#jobs.get(decodeURIComponent(id))
    if (job === undefined) throw new ApiFailure(404, 'job_not_found')
    if (call.method === 'DELETE') return this.#delete(job, url.searchParams.get('force') === 'true')
    if (call.method === 'POST' && verb === 'wait') return this.#told(await job.wait(call.body))
    if (call.method === 'POST' && verb === 'terminate') {
      if (job.isDone) throw new ApiFailure(409, 'job_not_running')
      this.#terminals.kill(job.id)
    }
    return { job_id: job.id, status: job.status, exit_code: job.exitCode }
  }

  #told(result: Record<string, unknown>): unknown {
    this.toldBytes += String(result['output']).length
    return this.tamper(result)
  }

  async #run(body: Record<string, unknown>): Promise<Record<string, unknown>> {
    this.#made += 1
    const id = `11271230-${this.#made.toString(36).padStart(3, '0')}`
    const job = new ShellctlJob(id, join(this.#outputs, `${id}.log`))
    this.#jobs.set(id, job)
    this.mostJobs = Math.max(this.mostJobs, this.#jobs.size)
    const { cols = 80, rows = 24 } = (body['terminal'] ?? {}) as Record<string, number>
    this.#terminals.run({
      id,
      script: `${this.prelude}${String(body['script'])}`,
      cwd: this.#outputs,
      env: {
        PATH: `${dirname(this.#options.python)}:/usr/bin:/bin`,
        HOME: this.home,
        LANG: 'C',
        ...((body['env'] ?? {}) as Record<string, string>),
      },
      cols,
      rows,
    })
    return await job.wait({ ...body, offset: 0 })
  }

  async #delete(job: ShellctlJob, isForced: boolean): Promise<unknown> {
    if (!job.isDone) {
      if (!isForced) throw new ApiFailure(409, 'job_running')
      this.#terminals.kill(job.id)
      await job.ended
    }
    this.#jobs.delete(job.id)
    rmSync(job.outputPath, { force: true })
    return { job_id: job.id, deleted: true }
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
