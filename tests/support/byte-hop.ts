/** @module A platform reduced to its byte-moving hop: a real app on a real port before one origin. */

import { earlyAnswer } from '@atrium/hono-kit/early-answer'
import { problemHandler } from '@atrium/hono-kit/problem'
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { type BaseEnv, requestContext } from '@atrium/hono-kit/request-context'
import { listen } from '@atrium/hono-kit/server'
import { AppError } from '@atrium/http-kit/app-error'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Hono } from 'hono'
import { pino } from 'pino'
import {
  RuntimeClient,
  type RuntimeClientOptions,
} from '../../apps/platform/src/upstream/runtime-client.ts'

const REQUEST_HEADERS = ['content-type', 'content-length', 'range']
const RESPONSE_HEADERS = ['content-type', 'content-length', 'content-range', 'etag']

export type ByteHop = { readonly url: URL; readonly client: RuntimeClient; close(): Promise<void> }

/** Forwards every path and query to `origin`; redirects are refused as the platform refuses them. */
export async function startByteHop(
  origin: URL,
  options: Partial<RuntimeClientOptions> = {},
): Promise<ByteHop> {
  const client = new RuntimeClient({
    connectTimeoutMs: 2_000,
    headersTimeoutMs: 2_000,
    idleTimeoutMs: 2_000,
    ...options,
  })
  const app = new Hono<BaseEnv>()
  app.use(
    requestContext({ log: pino({ level: 'silent' }), clock: systemClock, ids: systemIds }),
    earlyAnswer(),
  )
  app.onError(problemHandler({ hop: 'platform' }))
  app.all('*', (c) =>
    rawExchange(c, async (exchange) => {
      const { incoming } = exchange
      const method = (['GET', 'HEAD', 'POST'] as const).find((each) => each === incoming.method)
      if (method === undefined) throw new AppError('method_not_allowed')
      await client.forward(
        {
          url: new URL(incoming.url ?? '/', origin),
          method,
          headers: pick(incoming.headers, REQUEST_HEADERS),
          ...(method === 'POST' ? { body: incoming } : {}),
        },
        exchange,
        (head) => {
          if (head.status >= 300 && head.status < 400) throw new AppError('workspace_redirected')
          return { status: head.status, headers: pick(head.headers, RESPONSE_HEADERS) }
        },
      )
    }),
  )
  const server = await listen(app, { host: '127.0.0.1', port: 0 })
  return {
    url: new URL(`http://127.0.0.1:${server.port}`),
    client,
    async close() {
      await client.close()
      await server.close(0)
    },
  }
}

function pick(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') picked[name] = value
  }
  return picked
}
