/** @module What a request of the runtime carries: an id and a logger, nothing else (H10). */
import type { BaseEnv } from '@atrium/hono-kit/request-context'

export type AppEnv = BaseEnv
