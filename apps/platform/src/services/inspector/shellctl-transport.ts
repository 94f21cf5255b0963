/**
 * @module Sessions on a host that has nothing but job control: a fixed reader is run as a job, and its
 * output read in windows (contract/runtime 20.4). A job is always deleted, whatever happens.
 */
import { finished } from 'node:stream/promises'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { Clock } from '@atrium/http-kit/clock'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import type { Logger } from 'pino'
import type { JobWindow, ShellctlClient, ShellctlHost } from '../../upstream/shellctl-client.ts'
import type { TaskTracker } from '../task-tracker.ts'
import { JobSlots } from './job-slots.ts'
import { fileContentOf, filePreviewOf, folderPageOf, throwRefusal } from './reader-answers.ts'
import { type ReaderBlob, ReaderOutput, readerFailed } from './reader-output.ts'
import { readerJob } from './session-reader.ts'
import type { SessionCall, SessionOperation, SessionTransport } from './session-transport.ts'

/** contract/runtime 20.1 */
const MAX_WINDOWS = 64
/** A job whose id is not known yet cannot be deleted: so long its start is waited for on its own. */
const LATE_START_MS = 5_000
/** A host that says nothing and does not wait is not asked again at once. */
const PAUSE_MS = 100
/** A client that does not take its answer is let go. */
const SEND_TIMEOUT_MS = 300_000
const MAX_JOBS_PER_WORKSPACE = 4
/** Windows of files, which are held until the client has them: it may be slow. */
const MAX_CONTENTS_PER_WORKSPACE = 4
const LIMITS = {
  /** All of an operation: 64 windows of 20 s would keep a client for twenty minutes. */
  operationTimeoutMs: 60_000,
  /** Of all workspaces: a window takes some 30 MiB while it is put together, 11 while it is sent. */
  maxContents: 16,
}
/** What is told of a file, and what is read around its window; of an entry, all but its name. */
const FACTS_BYTES = 1_024
const ENTRY_BYTES = 128

export type ShellctlTransportDeps = {
  readonly shellctl: ShellctlClient
  readonly tracker: TaskTracker
  readonly clock: Clock
  readonly log: Logger
}

type Operation = {
  readonly host: ShellctlHost
  readonly call: SessionCall
  readonly signal: AbortSignal
}

/** The transport of one host after the other; what they have in common is how much runs at once. */
export function createShellctlTransport(
  deps: ShellctlTransportDeps,
  { operationTimeoutMs, maxContents } = LIMITS,
): (host: ShellctlHost) => SessionTransport {
  const jobs = new JobSlots(MAX_JOBS_PER_WORKSPACE)
  const contentsOfOne = new JobSlots(MAX_CONTENTS_PER_WORKSPACE)
  const contents = new JobSlots(maxContents)

  /** Asks for the answer, and sends it. */
  async function ask(operation: Operation, exchange: RawExchange): Promise<void> {
    const { call, signal } = operation
    const release = await jobs.take(call.workspace.id, signal)
    // What it was made of is let go of: sending may take long.
    await send(exchange, bodyOf(call, await askReader(deps, operation, release)))
  }

  async function askForContent(operation: Operation, exchange: RawExchange): Promise<void> {
    const { call, signal } = operation
    const releaseOne = await contentsOfOne.take(call.workspace.id, signal)
    try {
      const release = await contents.take('', signal)
      await ask(operation, exchange).finally(release)
    } finally {
      releaseOne()
    }
  }

  return (host) => ({
    async answer(call, exchange) {
      const deadline = AbortSignal.timeout(operationTimeoutMs)
      const signal = AbortSignal.any([exchange.signal, deadline])
      const isContent = call.operation.kind === 'content'
      try {
        await (isContent ? askForContent : ask)({ host, call, signal }, exchange)
      } catch (error) {
        const isLate =
          deadline.aborted && !exchange.signal.aborted && !exchange.outgoing.headersSent
        throw isLate ? readerFailed('no end in time') : error
      }
    },
  })
}

/** Calls `release` when the job is over and deleted. */
async function askReader(
  deps: ShellctlTransportDeps,
  operation: Operation,
  release: () => void,
): Promise<ReaderBlob> {
  const { host, call, signal } = operation
  const over = Promise.withResolvers<void>()
  const tooLate = new AbortController()
  let jobId: string | undefined
  const started = deps.shellctl.run(host, readerJob(call), {
    signal: tooLate.signal,
    onJob: (id) => {
      jobId = id
    },
  })
  // Outlives the request: the client may be gone before the host has said which job it is.
  deps.tracker.run(async () => {
    try {
      await Promise.allSettled([started, over.promise])
      if (jobId !== undefined) await deleteJob(deps, operation, jobId)
    } finally {
      release()
    }
  })
  const onAbort = (): void =>
    deps.tracker.run(() => endLate(deps.clock, started, () => tooLate.abort(signal.reason)))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const first = await orAborted(started, signal)
    return await collect(deps, { ...operation, id: jobId ?? '' }, first)
  } finally {
    signal.removeEventListener('abort', onAbort)
    over.resolve()
  }
}

/** Waits for the id of a job that nobody wants any more, but not for as long as a host may take. */
async function endLate(clock: Clock, started: Promise<unknown>, giveUp: () => void): Promise<void> {
  const settled = new AbortController()
  const waiting = clock.sleep(LATE_START_MS, settled.signal).then(giveUp, () => undefined)
  await Promise.race([Promise.allSettled([started]), waiting])
  settled.abort()
}

async function collect(
  deps: ShellctlTransportDeps,
  { host, call, signal, id }: Operation & { readonly id: string },
  first: JobWindow,
): Promise<ReaderBlob> {
  const output = new ReaderOutput(largestAnswer(call.operation))
  output.take(first.output)
  let window = first
  for (let windows = 1; windows < MAX_WINDOWS; windows += 1) {
    if (output.isComplete || (window.isDone && !window.isTruncated)) break
    if (window.output === '') await deps.clock.sleep(PAUSE_MS, signal)
    window = await deps.shellctl.wait(host, { id, offset: window.offset }, signal)
    output.take(window.output)
  }
  return output.blob()
}

/** In bytes. An entry is told in less than its longest name and these numbers. */
function largestAnswer(operation: SessionOperation): number {
  if (operation.kind === 'list') return FACTS_BYTES + operation.page.limit * (255 + ENTRY_BYTES)
  const { window } = operation
  return FACTS_BYTES + ('tail' in window ? window.tail : window.limit)
}

async function deleteJob(
  { shellctl, log }: ShellctlTransportDeps,
  { host, call }: Operation,
  id: string,
): Promise<void> {
  try {
    await shellctl.delete(host, id)
  } catch (error) {
    // Best effort: the client has its answer, and the reader ends by itself.
    log.warn({ err: error, workspace_id: call.workspace.id }, 'job_control.delete_failed')
  }
}

function bodyOf({ path, operation }: SessionCall, blob: ReaderBlob): Buffer {
  throwRefusal(blob)
  return Buffer.from(JSON.stringify(answerOf()))

  function answerOf() {
    switch (operation.kind) {
      case 'list':
        return folderPageOf(path.echo, operation.page, blob)
      case 'preview':
        return filePreviewOf(path.echo, operation.window, blob)
      case 'content':
        return fileContentOf(path.echo, operation.window, blob)
    }
  }
}

async function send({ outgoing, signal }: RawExchange, body: Buffer): Promise<void> {
  signal.throwIfAborted()
  outgoing.writeHead(200, {
    ...FILE_SECURITY_HEADERS,
    'content-type': 'application/json',
    'content-length': String(body.length),
  })
  outgoing.end(body)
  await finished(outgoing, { signal: AbortSignal.timeout(SEND_TIMEOUT_MS) })
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
