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
import type { SessionCall, SessionTransport } from './session-transport.ts'

/** contract/runtime 20.1 */
const MAX_WINDOWS = 64
/** All of an operation: 64 windows of 20 s would keep a client for twenty minutes. */
const OPERATION_TIMEOUT_MS = 60_000
/** A job whose id is not known yet cannot be deleted: so long its start is waited for on its own. */
const LATE_START_MS = 5_000
/** A host that says nothing and does not wait is not asked again at once. */
const PAUSE_MS = 100
/** A client that does not take its answer is let go. */
const SEND_TIMEOUT_MS = 300_000
/** An answer is held whole, up to some 30 MiB while it is put together. */
const MAX_JOBS_PER_WORKSPACE = 4

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
  operationTimeoutMs = OPERATION_TIMEOUT_MS,
): (host: ShellctlHost) => SessionTransport {
  const slots = new JobSlots(MAX_JOBS_PER_WORKSPACE)
  return (host) => ({
    async answer(call, exchange) {
      const deadline = AbortSignal.timeout(operationTimeoutMs)
      const signal = AbortSignal.any([exchange.signal, deadline])
      try {
        const release = await slots.take(call.workspace.id, signal)
        const blob = await askReader(deps, { host, call, signal }, release)
        await send(exchange, bodyOf(call, blob))
      } catch (error) {
        const isLate = deadline.aborted && !exchange.signal.aborted
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
  { host, signal, id }: Operation & { readonly id: string },
  first: JobWindow,
): Promise<ReaderBlob> {
  const output = new ReaderOutput()
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
