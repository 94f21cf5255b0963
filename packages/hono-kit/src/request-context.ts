/** @module What every request of either app has from its first line on: an id and a logger (H15). */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { REQUEST_ID_HEADER, requestIdFrom } from '@atrium/http-kit/request-id'
import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Logger } from 'pino'

export type BaseVariables = { requestId: string; log: Logger }

/** `Bindings` are node-server's: file routes move bytes on the raw exchange (design/performance 1). */
export type BaseEnv = { Bindings: HttpBindings; Variables: BaseVariables }

export type RequestContextDeps = { readonly log: Logger; readonly clock: Clock; readonly ids: Ids }

/**
 * Sets `requestId` and `log`, answers with `X-Request-Id`, and writes one access line per request.
 * The line names the route pattern and never the query: a path there may be somebody's file name.
 */
export function requestContext(deps: RequestContextDeps): MiddlewareHandler<BaseEnv> {
  return async function requestContextMiddleware(c, next) {
    const requestId = requestIdFrom(c.req.header(REQUEST_ID_HEADER), deps.ids)
    const log = deps.log.child({ request_id: requestId })
    const startedAt = deps.clock.now().getTime()
    c.set('requestId', requestId)
    c.set('log', log)
    // Raw exchanges write their own head; a header set here reaches them without being passed on.
    c.env.outgoing?.setHeader('X-Request-Id', requestId)
    await next()
    c.header('X-Request-Id', requestId)
    const outgoing = c.env.outgoing
    const status = outgoing?.headersSent === true ? outgoing.statusCode : c.res.status
    log.info(
      {
        method: c.req.method,
        route: routePath(c, -1),
        status,
        duration_ms: deps.clock.now().getTime() - startedAt,
        ...(outgoing?.destroyed === true && !outgoing.writableFinished ? { aborted: true } : {}),
      },
      'http.access',
    )
  }
}
