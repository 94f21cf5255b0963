/** @module Cards, peers and who may talk to whom (contract/platform 2.4, 2.5). */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential } from '@atrium/http-kit/bearer'
import { type Context, Hono } from 'hono'
import {
  checkAccess,
  type DiscoveryCaller,
  type DiscoveryDeps,
  discoverPeer,
  peersOf,
} from '../../services/discover-peers.ts'
import type { RegisterDeps } from '../../services/register-agent.ts'
import { updateCard } from '../../services/update-card.ts'
import type { AppEnv } from '../env.ts'
import { parseBody, readJson } from '../read-json.ts'
import { checkAccessRequest, renderPeer, updateCardRequest } from '../wire/discovery.wire.ts'

/** Cards are the largest thing that comes here. */
const MAX_CARD_BYTES = 1024 * 1024
const MAX_BODY_BYTES = 4 * 1024

export function discoveryRoutes(deps: DiscoveryDeps & RegisterDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/update-card', async (c) => {
    const body = parseBody(updateCardRequest, await readJson(c, MAX_CARD_BYTES))
    await updateCard(deps, {
      workspaceId: body.workspace_id,
      agentCard: body.agent_card,
      caller: c.get('caller'),
      hasBearer: hasBearer(c),
    })
    return c.json({ status: 'updated' })
  })
  app.post('/check-access', async (c) => {
    const body = parseBody(checkAccessRequest, await readJson(c, MAX_BODY_BYTES))
    const pair = { callerId: body.caller_id, targetId: body.target_id }
    return c.json({ allowed: await checkAccess(deps.db, pair) })
  })
  app.get('/discover/:id', async (c) => {
    const claimedId = c.req.header('x-workspace-id') ?? ''
    if (claimedId === '') throw new AppError('workspace_id_header_required')
    return c.json(await discoverPeer(deps, asker(c, claimedId), c.req.param('id')))
  })
  app.get('/:id/peers', async (c) => {
    const peers = await peersOf(deps, asker(c, c.req.param('id')), c.req.query('q'))
    return c.json(peers.map(renderPeer))
  })
  return app
}

function asker(c: Context<AppEnv>, claimedId: string): DiscoveryCaller {
  return { caller: c.get('caller'), hasBearer: hasBearer(c), claimedId }
}

function hasBearer(c: Context<AppEnv>): boolean {
  return bearerCredential(c.req.header('authorization')) !== undefined
}
