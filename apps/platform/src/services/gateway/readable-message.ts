/** @module A request as its agent can read it, with what it came from (contract/a2a 2.2). */
import { type RpcParseResult, type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { type MethodTraits, methodTraits, type SpokenDialect } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { replaceId } from '@atrium/a2a-schema/replace-id'
import { validateParams } from '@atrium/a2a-schema/validate-params'
import { readVersion } from '@atrium/a2a-schema/version'
import type { Ids } from '@atrium/http-kit/clock'
import type { Workspace } from '../find-workspace.ts'
import { missingExtensions } from './agent-card.ts'
import { type GatewayCall, GatewayFailure } from './gateway-call.ts'
import type { Repairs } from './repair-headers.ts'
import {
  contentTypeNotSupported,
  extensionRequired,
  invalidParams,
  methodNotFound,
  type RpcProblem,
  versionNotSupported,
} from './rpc-problem.ts'

export type ReadableMessage = {
  readonly call: GatewayCall
  readonly target: Workspace
  /** As it came. */
  readonly given: RpcRequest
  /** As the agent shall read it. */
  readonly request: RpcRequest
  /** Of `request`; without an operation it is a method of the agent's own. */
  readonly traits: MethodTraits
  /** How the sender reads answers. */
  readonly dialect: SpokenDialect
  /** The text of `request`: what came, unless it had to be changed (contract/a2a 2.1.1). */
  readonly bytes: Buffer
  /** What had to be changed in what came. */
  readonly repairs: Repairs
}

const JSON_TYPES = /^application\/(?:a2a\+)?json(?:\s*;|$)/i
/** A method of an agent's own: `vendor.thing/verb`. Whatever else nobody specified is a mistake. */
const NAMESPACED = /^[\w$-]+(?:\.[\w$-]+)+\/\S+$/

/** Throws `GatewayFailure` for what no agent could read. */
export function readableMessage(
  deps: { readonly ids: Ids },
  parsed: RpcParseResult,
  to: Pick<ReadableMessage, 'call' | 'target'>,
): ReadableMessage {
  const { headers, body } = to.call
  if (!JSON_TYPES.test(headers('content-type') ?? 'application/json')) {
    const asked = parsed.ok ? askedBy(parsed.request) : { ...UNREAD, id: parsed.error.id }
    throw new GatewayFailure(asked, { rpc: contentTypeNotSupported() })
  }
  if (!parsed.ok)
    throw new GatewayFailure({ ...UNREAD, id: parsed.error.id }, { rpc: parsed.error })
  const given = parsed.request
  const asked = askedBy(given)
  const problem = problemOf(given, headers('a2a-version'))
  if (problem !== undefined) throw new GatewayFailure(asked, { rpc: problem })
  const normalised = normaliseRequest(given, deps.ids)
  if (!normalised.ok) throw new GatewayFailure(asked, { rpc: normalised.error })
  const { request, changed } = normalised
  const traits = methodTraits(request.method)
  const fault = faultOf(request, traits) ?? lackOf(traits, to)
  if (fault !== undefined) throw new GatewayFailure(asked, { rpc: fault })
  const bytes = changed ? Buffer.from(rpcRequestText(request), 'utf8') : Buffer.from(body)
  return {
    ...{ ...to, given, request, traits, repairs: normalised },
    dialect: asked.dialect === 'unknown' ? '0.3' : asked.dialect,
    bytes: Object.hasOwn(request.envelope, 'id') ? bytes : withId(bytes, deps.ids.uuid()),
  }
}

const UNREAD = { id: null, dialect: 'unknown' } as const

/** Under which id, and how, the sender wants to be answered. */
export function askedBy(request: RpcRequest): Pick<GatewayFailure, 'id' | 'dialect'> {
  return { id: request.id, dialect: methodTraits(request.method).dialect }
}

/** Without one it would be a notification, which no agent answers. */
function withId(bytes: Buffer, id: string): Buffer {
  return Buffer.from(replaceId(bytes, id))
}

/** In the order of the conformance kits: version, then method. */
function problemOf(request: RpcRequest, version: string | undefined): RpcProblem | undefined {
  if (!readVersion(version).ok) return versionNotSupported()
  const { operation } = methodTraits(request.method)
  return operation === undefined && !NAMESPACED.test(request.method) ? methodNotFound() : undefined
}

/** 0.3 has no such error, and its agents judge for themselves (contract/a2a 2.5). */
function lackOf(
  { carriesMessage, dialect }: MethodTraits,
  { call, target }: Pick<ReadableMessage, 'call' | 'target'>,
): RpcProblem | undefined {
  if (!carriesMessage || dialect !== '1.0') return undefined
  const named = call.headers('a2a-extensions') ?? call.headers('x-a2a-extensions')
  const missing = missingExtensions(target, named)
  return missing.length === 0 ? undefined : extensionRequired(missing)
}

function faultOf(request: RpcRequest, traits: MethodTraits): RpcProblem | undefined {
  const { operation, dialect } = traits
  // Messages are judged where they are normalised.
  if (operation === undefined || dialect === 'unknown' || traits.carriesMessage) return undefined
  const fault = validateParams(operation, dialect, request.params)
  return fault && invalidParams(fault.field, fault.detail)
}
