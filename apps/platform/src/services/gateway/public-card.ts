/**
 * @module The card of a workspace's agent as its callers see it: every address in it is the
 * gateway's, and nothing that was signed is passed on (contract/a2a 1.7, 2.9).
 */
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { type CardShape, cardTo } from '@atrium/a2a-schema/translate/card'
import { rewriteCard } from '@atrium/a2a-schema/translate/card-rewrite'
import { readVersion } from '@atrium/a2a-schema/version'
import { sha256 } from '@atrium/http-kit/bearer'
import type { Db } from '../../db/client.ts'
import type { Sender } from '../../domain/caller.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { requireRelation } from '../admit-message.ts'
import { getWorkspace, type Workspace } from '../find-workspace.ts'
import { cardOf } from './agent-card.ts'
import { RpcRefusal, versionNotSupported } from './rpc-problem.ts'

export type PublicCardDeps = {
  readonly db: Db
  /** What the operator says; otherwise where the platform listens. Never what a request says. */
  readonly externalPlatformUrl: string | undefined
  readonly platformUrl: () => string
}

/** What is proxied, the preferred one first. */
const BINDINGS = ['JSONRPC', 'HTTP+JSON']

/** The card with the gateway's addresses; `cardTo` makes the shape of it that is asked for. */
export function gatewayCard(
  deps: Omit<PublicCardDeps, 'db'>,
  row: Workspace,
  card: JsonObject = cardOf(row) ?? {},
): JsonObject {
  const base = deps.externalPlatformUrl ?? deps.platformUrl()
  return rewriteCard(
    { ...essentials(row), ...card },
    {
      baseUrl: `${base}/a2a/${row.id}`,
      bindings: BINDINGS,
      capabilities: {
        // Webhooks of who calls none are called by the platform.
        pushNotifications: true,
        // Whoever fetches its messages cannot stream; the gateway tells how they stand all the same.
        ...(row.deliveryMode === 'poll' ? { streaming: true } : {}),
      },
    },
  )
}

/** What every card must have and some agents leave out. */
function essentials(row: Workspace): JsonObject {
  return {
    name: row.name,
    description: row.role ?? row.name,
    version: '0.0.0',
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
  }
}

export type ServedCard = { readonly body: Buffer; readonly etag: string; readonly changedAt: Date }

/** Throws `access_denied` and `workspace_not_found` in the order of messages; `RpcRefusal`. */
export async function publicCard(
  deps: PublicCardDeps,
  asked: {
    readonly caller: Sender
    readonly workspaceId: WorkspaceId
    /** The header `A2A-Version`. */
    readonly version: string | undefined
  },
): Promise<ServedCard> {
  const { caller, workspaceId, version } = asked
  await requireRelation(deps.db, caller, workspaceId)
  const row = await getWorkspace(deps.db, workspaceId)
  const body = Buffer.from(JSON.stringify(cardTo(gatewayCard(deps, row), shapeOf(version))))
  const etag = `"${sha256(body.toString('utf8')).toString('base64url').slice(0, 27)}"`
  return { body, etag, changedAt: row.updatedAt }
}

/** Who does not say gets one that both can read (contract/a2a "Decided" 5). */
function shapeOf(version: string | undefined): CardShape {
  const read = readVersion(version)
  if (!read.ok) throw new RpcRefusal(versionNotSupported())
  return read.dialect ?? 'hybrid'
}
