/** @module An agent announces itself (contract/platform 2.1, 2.6). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import type { DeliveryMode, ReceivedRegistration } from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import { loggableDatabaseError } from '../db/db-error.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { countLiveTokens } from '../db/token-store.ts'
import {
  findWorkspace,
  insertWorkspaceIfAbsent,
  lockLiveWorkspace,
  recordRegistration,
  transitionWorkspace,
} from '../db/workspace-store.ts'
import { auditActor } from '../domain/audit.ts'
import { type Caller, mayActFor } from '../domain/caller.ts'
import { parseDeliveryMode, resolveDeliveryMode } from '../domain/delivery-mode.ts'
import { parseWorkspaceId, type WorkspaceId } from '../domain/ids.ts'
import { DEFAULT_RUNTIME_KIND } from '../domain/runtime-kind.ts'
import {
  endpointWithinBox,
  isManaged,
  isReachable,
  plainHttpUrl,
} from '../domain/workspace-endpoint.ts'
import { onlineAt } from '../domain/workspace-events.ts'
import { type AddressPolicy, type Resolve, validateAgentUrl } from '../upstream/agent-address.ts'
import { foreignUse } from './authenticate-caller.ts'
import { inboundSecretForAnswer } from './inbound-secret-rotation.ts'
import type { RefusedUses } from './refused-uses.ts'
import { type CredentialDeps, issueWorkspaceToken } from './workspace-credentials.ts'

export type RegisterDeps = CredentialDeps & {
  readonly log: Logger
  readonly addressPolicy: AddressPolicy
  readonly resolve: Resolve
  /** Development keeps the contract's open bootstrap of zero-token workspaces (architecture 3). */
  readonly isBootstrapOpen: boolean
  readonly refusedUses: Pick<RefusedUses, 'note'>
}

export type Registration = {
  readonly deliveryMode: DeliveryMode
  /** Present when the workspace had no live token. */
  readonly authToken: Secret | undefined
  /** Absent only when it could be neither read nor minted. */
  readonly inboundSecret: Secret | undefined
}

/**
 * Registers a workspace's agent and brings the workspace online where the transition table allows.
 * `hasBearer` tells a missing credential from a wrong one. Throws `missing_workspace_token`,
 * `invalid_workspace_token`, `invalid_delivery_mode`, `agent_url_required`, `invalid_agent_url`,
 * `stale_generation`, `registration_failed`.
 */
export async function registerAgent(
  deps: RegisterDeps,
  input: {
    readonly request: ReceivedRegistration
    readonly caller: Caller
    readonly hasBearer: boolean
  },
): Promise<Registration> {
  const { request, caller, hasBearer } = input
  const id = parseWorkspaceId(request.id)
  if (id === undefined) throw new AppError('invalid_request_body')
  const requested = requestedMode(request.delivery_mode)
  const row = await findWorkspace(deps.db, id)
  await admitRegistryCall(deps, { id, row, caller, hasBearer })
  const deliveryMode = resolveDeliveryMode({
    requested,
    stored: row?.deliveryMode ?? null,
    runtimeKind: row?.runtimeKind ?? DEFAULT_RUNTIME_KIND,
  })
  const agentUrl = await acceptedUrl(deps, { request, row, deliveryMode })
  try {
    const isNew = row === undefined
    return await store(deps, { ...input, id, deliveryMode, agentUrl, isNew })
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('registration_failed', { cause: loggableDatabaseError(error) })
  }
}

function requestedMode(text: string | undefined): DeliveryMode | undefined {
  if (text === undefined || text === '') return undefined
  const mode = parseDeliveryMode(text)
  if (mode === undefined) throw new AppError('invalid_delivery_mode')
  return mode
}

/**
 * The registry's own gate (contract/platform 2.6), without its holes: only a token of this very
 * workspace passes; a zero-token workspace can be claimed in development only (wart W13), and a
 * removed one never (wart W12).
 */
export async function admitRegistryCall(
  deps: Pick<RegisterDeps, 'db' | 'isBootstrapOpen' | 'refusedUses'>,
  call: {
    readonly id: WorkspaceId
    readonly row: WorkspaceRow | undefined
    readonly caller: Caller
    readonly hasBearer: boolean
  },
): Promise<void> {
  if (call.caller.kind === 'workspace' && mayActFor(call.caller, call.id)) return
  const isRemoved = call.row?.status === 'removed'
  if (!isRemoved && deps.isBootstrapOpen && (await countLiveTokens(deps.db, call.id)) === 0) return
  if (call.caller.kind === 'workspace') {
    deps.refusedUses.note(foreignUse(call.caller, call.id))
  }
  throw new AppError(call.hasBearer ? 'invalid_workspace_token' : 'missing_workspace_token')
}

/** The URL to store, or undefined to keep what is there. Only the provisioner places its own boxes. */
async function acceptedUrl(
  deps: RegisterDeps,
  input: {
    readonly request: ReceivedRegistration
    readonly row: WorkspaceRow | undefined
    readonly deliveryMode: DeliveryMode
  },
): Promise<string | undefined> {
  if (input.row !== undefined && isManaged(input.row)) return undefined
  const url = input.request.url ?? ''
  if (url === '') {
    if (input.deliveryMode === 'poll') return undefined
    throw new AppError('agent_url_required')
  }
  const accepted = await validateAgentUrl(url, {
    policy: deps.addressPolicy,
    resolve: deps.resolve,
  })
  return accepted.href
}

/** Where a registration says the agent is; undefined keeps what is stored. */
type Place = { readonly agentUrl: string | undefined; readonly endpointUrl: string | undefined }

function placeOf(
  row: WorkspaceRow,
  input: Parameters<typeof placeOfBox>[1] & { readonly agentUrl: string | undefined },
): Place {
  return isManaged(row)
    ? placeOfBox(row, input)
    : { agentUrl: input.agentUrl, endpointUrl: undefined }
}

/**
 * What a box's own agent says about its address counts only where the back-end gave no endpoint
 * (`endpointUrl: null`), and then no further than the back-end's `address`. Before that one is
 * stored the word is kept, unused, for the start to judge. Throws `agent_url_required`,
 * `invalid_agent_url`.
 */
function placeOfBox(
  row: WorkspaceRow,
  input: { readonly request: ReceivedRegistration; readonly deliveryMode: DeliveryMode },
): Place {
  const url = input.request.url ?? ''
  if (row.endpointUrl !== null) return { agentUrl: undefined, endpointUrl: undefined }
  if (row.boxAddress === null) {
    return { agentUrl: plainHttpUrl(url)?.href, endpointUrl: undefined }
  }
  if (url === '') {
    if (input.deliveryMode === 'poll') return { agentUrl: undefined, endpointUrl: undefined }
    throw new AppError('agent_url_required')
  }
  const endpoint = endpointWithinBox(url, row.boxAddress)
  if (endpoint === undefined) {
    throw new AppError('invalid_agent_url', {
      message: 'url is not valid: it must be http on the address of the workspace itself',
    })
  }
  return { agentUrl: undefined, endpointUrl: endpoint.href }
}

async function store(
  deps: RegisterDeps,
  input: {
    readonly id: WorkspaceId
    readonly request: ReceivedRegistration
    readonly caller: Caller
    readonly hasBearer: boolean
    readonly deliveryMode: DeliveryMode
    readonly agentUrl: string | undefined
    readonly isNew: boolean
  },
): Promise<Registration> {
  const stored = await deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    if (input.isNew) await insertUnknown(deps, tx, input.id)
    const row = await lockAdmitted(deps, tx, input)
    const place = placeOf(row, input)
    const facts = {
      agentCard: input.request.agent_card,
      deliveryMode: input.deliveryMode,
      ...place,
    }
    if (!(await recordRegistration(tx, { id: input.id, facts, now }))) {
      throw new AppError('invalid_workspace_token')
    }
    const told = { ...row, ...input, endpointUrl: place.endpointUrl ?? row.endpointUrl }
    if (row.status !== 'online' && isReachable(told)) {
      const event = onlineAt(told.endpointUrl ?? place.agentUrl ?? row.agentUrl, facts.agentCard)
      await transitionWorkspace(tx, { id: input.id, to: 'online', now, event })
    }
    const authToken =
      (await countLiveTokens(tx, input.id)) === 0
        ? await issueWorkspaceToken(
            { ...deps, db: tx },
            { workspaceId: input.id, purpose: 'runtime', by: { actor: auditActor(input.caller) } },
          )
        : undefined
    return { row, authToken }
  })
  return {
    deliveryMode: input.deliveryMode,
    authToken: stored.authToken,
    inboundSecret: await inboundSecretOrNothing(deps, stored.row, input.request.inbound_secret_id),
  }
}

/** The row, locked, once more judged: what was read before may be otherwise by now. */
async function lockAdmitted(
  deps: RegisterDeps,
  tx: CredentialDeps['db'],
  input: {
    readonly id: WorkspaceId
    readonly request: ReceivedRegistration
    readonly caller: Caller
    readonly hasBearer: boolean
  },
): Promise<WorkspaceRow> {
  // The lock orders this with `recordBox`: whichever comes second sees the other's write.
  const row = await lockLiveWorkspace(tx, input.id)
  // Of several that claim a zero-token workspace at once, all passed the gate: here one wins.
  await admitRegistryCall({ ...deps, db: tx }, { ...input, row })
  if (row === undefined) throw new AppError('invalid_workspace_token')
  if ((input.request.generation ?? row.generation) !== row.generation) {
    throw new AppError('stale_generation')
  }
  return row
}

/** Contract/platform 2.1 step 11: any failure omits the field, the registration stands. */
async function inboundSecretOrNothing(
  deps: RegisterDeps,
  row: WorkspaceRow,
  heldId: string | undefined,
): Promise<Secret | undefined> {
  try {
    return (await inboundSecretForAnswer(deps, row, heldId)).secret
  } catch (error) {
    deps.log.warn({ err: error, workspace_id: row.id }, 'registry.inbound_secret_omitted')
    return undefined
  }
}

async function insertUnknown(
  deps: RegisterDeps,
  tx: CredentialDeps['db'],
  id: WorkspaceId,
): Promise<void> {
  const now = deps.clock.now()
  await insertWorkspaceIfAbsent(tx, {
    id,
    name: id,
    tier: 3,
    status: 'provisioning',
    runtimeKind: DEFAULT_RUNTIME_KIND,
    workspaceAccess: 'none',
    createdAt: now,
    updatedAt: now,
    statusSince: now,
  })
}
