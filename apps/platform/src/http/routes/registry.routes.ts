/** @module POST /registry/register and /registry/heartbeat (contract/platform 2.1, 2.2). */
import { bearerCredential } from '@atrium/http-kit/bearer'
import { heartbeatRequest, registerRequest } from '@atrium/runtime-contract/registration'
import { Hono } from 'hono'
import { type HeartbeatDeps, recordHeartbeat } from '../../services/record-heartbeat.ts'
import { type RegisterDeps, registerAgent } from '../../services/register-agent.ts'
import type { AppEnv } from '../env.ts'
import { parseBody, readJson } from '../read-json.ts'

/** Cards are the largest thing a registration carries. */
const MAX_BODY_BYTES = 1024 * 1024
const MAX_BEAT_BYTES = 64 * 1024

export function registryRoutes(deps: RegisterDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/register', async (c) => {
    const request = parseBody(registerRequest, await readJson(c, MAX_BODY_BYTES))
    const registration = await registerAgent(deps, {
      request,
      caller: c.get('caller'),
      hasBearer: bearerCredential(c.req.header('authorization')) !== undefined,
    })
    const { authToken, inboundSecret, deliveryMode } = registration
    return c.json({
      status: 'registered',
      delivery_mode: deliveryMode,
      ...(authToken === undefined ? {} : { auth_token: authToken.reveal() }),
      ...(inboundSecret === undefined ? {} : { platform_inbound_secret: inboundSecret.reveal() }),
    })
  })
  return app
}

/** Outside the scopes: a beat's token is checked in the very statement that stores the beat. */
export function heartbeatRoutes(deps: HeartbeatDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/heartbeat', async (c) => {
    const inboundSecret = await recordHeartbeat(deps, {
      beat: parseBody(heartbeatRequest, await readJson(c, MAX_BEAT_BYTES)),
      authorization: c.req.header('authorization'),
    })
    return c.json({
      status: 'ok',
      ...(inboundSecret === undefined ? {} : { platform_inbound_secret: inboundSecret.reveal() }),
    })
  })
  return app
}
