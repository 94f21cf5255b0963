/** @module The connection to a Docker Engine, and what its errors mean (ADR-0018). */
import { AppError } from '@atrium/http-kit/app-error'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import Docker from 'dockerode'

/** An engine that says nothing for so long has hung: it answers within milliseconds. */
const CALL_TIMEOUT_MS = 60_000

/** What an engine that is not there looks like from here. */
const AWAY = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'])

export type Engine = {
  /** For calls: each fails when nothing moves for a minute. */
  readonly calls: Docker
  /** For streams that are silent while nothing happens. */
  readonly streams: Docker
}

/** Where the engine listens: `unix:///path` or `tcp://host:port`, validated by `config.ts`. */
export function connectEngine(dockerHost: string): Engine {
  const url = new URL(dockerHost)
  const isSocket = url.protocol === 'unix:'
  // All of them, also the undefined ones: the library fills the rest in from the environment.
  const target = {
    socketPath: isSocket ? url.pathname : undefined,
    host: isSocket ? undefined : url.hostname,
    port: isSocket ? undefined : url.port,
    protocol: 'http' as const,
  }
  return {
    calls: new Docker({ ...target, timeout: CALL_TIMEOUT_MS }),
    streams: new Docker(target),
  }
}

/** The HTTP status with which the engine refused; undefined when it was no answer of the engine. */
export function engineStatusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** Resolves with undefined where the engine knows no such thing; other errors pass. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  return unlessStatus(call, [404])
}

/** Resolves with undefined when the engine answers with one of these statuses. */
export async function unlessStatus<T>(
  call: Promise<T>,
  statuses: readonly number[],
): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    const status = engineStatusOf(error)
    if (status !== undefined && statuses.includes(status)) return undefined
    throw error
  }
}

/** Runs a call of the provisioner; an engine that is not there becomes `provisioner_unavailable`. */
export async function withEngine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError || !AWAY.has(errorCodeOf(error) ?? '')) throw error
    throw new AppError('provisioner_unavailable', {
      internal: `the Docker Engine cannot be reached: ${errorCodeOf(error)}`,
      cause: error,
    })
  }
}
