/** @module Everything the app needs, built once by `main.ts` (H10, H27). */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import type { FilePlane } from './files/file-plane.ts'
import type { AppEnv } from './http/env.ts'
import type { InboundSecret } from './http/middleware/inbound-auth.ts'

export type AppDeps = {
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly inboundSecret: InboundSecret
  readonly isA2aOpen: boolean
  readonly files: FilePlane
  /** Adds the routes of the agent (A2A, card); absent in tests of the files alone. */
  readonly mountAgent?: (app: Hono<AppEnv>) => void
}
