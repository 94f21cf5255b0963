/** @module The one error renderer of both apps (H14): `app.onError` and `app.notFound`. */
import { AppError, describeFailure, findAppError, type Hop } from '@atrium/http-kit/app-error'
import type { Context, ErrorHandler, NotFoundHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { BaseEnv } from './request-context.ts'

/** Framework and validation errors in terms of our table; everything unknown stays unknown (500). */
function toAppError(thrown: unknown): unknown {
  if (findAppError(thrown) !== undefined) return thrown
  if (thrown instanceof z.ZodError) {
    return new AppError('invalid_request_body', { cause: thrown })
  }
  if (thrown instanceof HTTPException && thrown.status === 400) {
    return new AppError('invalid_request_body', { cause: thrown })
  }
  return thrown
}

function render<E extends BaseEnv>(c: Context<E>, thrown: unknown, hop: Hop): Response {
  const failure = describeFailure(thrown, { hop, requestId: c.get('requestId') })
  return c.json(failure.body, failure.status, { ...failure.headers })
}

/** What stands behind a failure of ours or of the workspace; a client's own mistakes are its own. */
export function logFailure(log: Logger, thrown: unknown): void {
  const known = findAppError(thrown)
  if (known === undefined) {
    log.error({ err: thrown }, 'http.unexpected_error')
  } else if (known.status >= 500) {
    log.warn({ code: known.code, internal: known.internal, err: known.cause }, 'http.failure')
  }
}

/** Renders any thrown value as the failure contract's body; logs 5xx with their cause. */
export function problemHandler<E extends BaseEnv>(options: {
  readonly hop: Hop
  /** What an app knows about errors that are not ours: those of its database. */
  readonly recognise?: (thrown: unknown) => AppError | undefined
}): ErrorHandler<E> {
  return function onProblem(thrown, c) {
    const error = toAppError(thrown)
    const known = findAppError(error) ?? options.recognise?.(error) ?? error
    logFailure(c.get('log'), known)
    return render(c, known, options.hop)
  }
}

export function notFoundHandler<E extends BaseEnv>(options: {
  readonly hop: Hop
}): NotFoundHandler<E> {
  return function onNotFound(c) {
    return render(c, new AppError('not_found'), options.hop)
  }
}
