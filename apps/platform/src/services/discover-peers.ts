/** @module Finding other workspaces (contract/platform 2.4, 2.5), without the failing open of 2.5. */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import { listPeers } from '../db/peer-store.ts'
import { findLiveWorkspace } from '../db/workspace-store.ts'
import { type Caller, mayActFor } from '../domain/caller.ts'
import { parseWorkspaceId, type WorkspaceId } from '../domain/ids.ts'
import { isExternal } from '../domain/runtime-kind.ts'
import { endpointOf, isManaged } from '../domain/workspace-endpoint.ts'
import { type AddressPolicy, type Resolve, validateAgentUrl } from '../upstream/agent-address.ts'
import { foreignUse } from './authenticate-caller.ts'
import { canCommunicate } from './can-communicate.ts'
import { getWorkspace, type Workspace } from './find-workspace.ts'
import type { RefusedUses } from './refused-uses.ts'

export type DiscoveryDeps = {
  readonly db: Db
  readonly addressPolicy: AddressPolicy
  readonly resolve: Resolve
  readonly refusedUses: Pick<RefusedUses, 'note'>
}

/** Who asks, by its credential, and as which workspace it says it asks. */
export type DiscoveryCaller = {
  readonly caller: Caller
  readonly hasBearer: boolean
  readonly claimedId: string
}

/**
 * The workspace that asks. Only its own token speaks for it, or an operator; a database that cannot
 * be asked is no yes (contract/platform 2.5, wart W15). Throws `missing_workspace_token`,
 * `invalid_workspace_token`, `invalid_workspace_id`.
 */
function askingWorkspace(
  { refusedUses }: Pick<DiscoveryDeps, 'refusedUses'>,
  { caller, hasBearer, claimedId }: DiscoveryCaller,
): WorkspaceId {
  if (caller.kind === 'anonymous') {
    throw new AppError(hasBearer ? 'invalid_workspace_token' : 'missing_workspace_token')
  }
  const id = parseWorkspaceId(claimedId)
  if (caller.kind === 'workspace' && (id === undefined || !mayActFor(caller, id))) {
    refusedUses.note(foreignUse(caller, id ?? 'discovery'))
    throw new AppError('invalid_workspace_token')
  }
  if (id === undefined) throw new AppError('invalid_workspace_id')
  return id
}

export type Discovered = { readonly id: string; readonly url: string; readonly name: string }

/**
 * Where another workspace is. One that is not there and one that is not to be known are the same
 * answer. Throws what `askingWorkspace` throws, `discovery_denied`, `workspace_url_unsafe`,
 * `workspace_not_available`.
 */
export async function discoverPeer(
  deps: DiscoveryDeps,
  asker: DiscoveryCaller,
  targetText: string,
): Promise<Discovered> {
  const askerId = askingWorkspace(deps, asker)
  const targetId = parseWorkspaceId(targetText)
  if (targetId === undefined || !(await canCommunicate(deps.db, askerId, targetId))) {
    throw new AppError('discovery_denied')
  }
  const [own, target] = await Promise.all([
    findLiveWorkspace(deps.db, askerId),
    findLiveWorkspace(deps.db, targetId),
  ])
  // Removed between the two questions.
  if (own === undefined || target === undefined) throw new AppError('discovery_denied')
  return { id: target.id, url: await urlFor(deps, own, target), name: target.name }
}

async function urlFor(deps: DiscoveryDeps, own: Workspace, target: Workspace): Promise<string> {
  const endpoint = endpointOf(target)
  if (!isManaged(target) && endpoint !== undefined) {
    await requireSafe(deps, endpoint.url)
    return sharesOurHost(own) ? endpoint.url.href : throughDocker(endpoint.url.href)
  }
  const isUp = target.status === 'online' || target.status === 'degraded'
  if (!isUp || endpoint === undefined) {
    throw new AppError('workspace_not_available', { extensions: { status: target.status } })
  }
  // Two containers of one network know each other by name; ports of the host are not theirs.
  const areContainers = own.isolation === 'container' && target.isolation === 'container'
  return areContainers ? `http://ws-${target.id.slice(0, 12)}:8000` : endpoint.url.href
}

/** Judged as it was at its registration: names may lead elsewhere by now. */
async function requireSafe(deps: DiscoveryDeps, url: URL): Promise<void> {
  const options = { policy: deps.addressPolicy, resolve: deps.resolve }
  try {
    await validateAgentUrl(url.href, options)
  } catch (error) {
    if (findAppError(error) === undefined) throw error
    throw new AppError('workspace_url_unsafe', { cause: error })
  }
}

/** For an agent that runs elsewhere, or as a process of this machine, loopback is what it says. */
function sharesOurHost(own: Workspace): boolean {
  return isExternal(own.runtimeKind) || own.isolation === 'process' || own.isolation === 'sandbox'
}

/** Contract/platform 2.4: seen from a container, the host's loopback has another name. */
function throughDocker(url: string): string {
  return url.replace('127.0.0.1', DOCKER_HOST).replace('localhost', DOCKER_HOST)
}

const DOCKER_HOST = 'host.docker.internal'

/**
 * Everybody whom a workspace may address directly: siblings, children, parent. Throws what
 * `askingWorkspace` throws, `workspace_not_found`, `invalid_query`.
 */
export async function peersOf(
  deps: Pick<DiscoveryDeps, 'db' | 'refusedUses'>,
  asker: DiscoveryCaller,
  search: string | undefined,
): Promise<Workspace[]> {
  const id = askingWorkspace(deps, asker)
  if (search?.includes('\0') === true) throw new AppError('invalid_query')
  const own = await getWorkspace(deps.db, id)
  return listPeers(deps.db, own, search === '' ? undefined : search)
}

/** Contract/platform 2.4 `check-access`: ids that name nothing are allowed nothing. */
export async function checkAccess(
  db: Db,
  pair: { readonly callerId: string; readonly targetId: string },
): Promise<boolean> {
  const a = parseWorkspaceId(pair.callerId)
  const b = parseWorkspaceId(pair.targetId)
  return a !== undefined && b !== undefined && (await canCommunicate(db, a, b))
}
