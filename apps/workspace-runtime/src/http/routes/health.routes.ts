/** @module GET /health: the server is up; says nothing about the agent (contract/runtime 22 #13). */
import { Hono } from 'hono'
import type { AppEnv } from '../env.ts'

export function healthRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/health', (c) => c.json({ status: 'ok' }))
  return app
}
