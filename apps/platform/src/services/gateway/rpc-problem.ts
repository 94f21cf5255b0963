/** @module What the gateway itself says no to, in the words of A2A (contract/a2a 1.6, 2.5). */
import { SUPPORTED_VERSIONS } from '@atrium/a2a-schema/version'

export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  taskNotFound: -32001,
  taskNotCancelable: -32002,
  pushNotSupported: -32003,
  unsupportedOperation: -32004,
  contentTypeNotSupported: -32005,
  invalidAgentResponse: -32006,
  extendedCardNotConfigured: -32007,
  extensionRequired: -32008,
  versionNotSupported: -32009,
} as const

export type RpcProblem = {
  readonly code: number
  readonly message: string
  /** Facts for the sender: `{field, detail}` of what it has to mend. */
  readonly data?: unknown
}

/** Thrown by who does not know the id under which the sender asked. */
export class RpcRefusal extends Error {
  readonly problem: RpcProblem

  constructor(problem: RpcProblem) {
    super(problem.message)
    this.name = 'RpcRefusal'
    this.problem = problem
  }
}

export function invalidParams(field: string, detail: string): RpcProblem {
  return {
    code: RPC.invalidParams,
    message: `invalid params: ${field}: ${detail}`,
    data: { field, detail },
  }
}

export function methodNotFound(): RpcProblem {
  return { code: RPC.methodNotFound, message: 'Method not found' }
}

export function taskNotFound(taskId: string): RpcProblem {
  return { code: RPC.taskNotFound, message: 'Task not found', data: { taskId } }
}

export function taskNotCancelable(taskId: string): RpcProblem {
  return { code: RPC.taskNotCancelable, message: 'Task cannot be canceled', data: { taskId } }
}

export function unsupportedOperation(why: string): RpcProblem {
  return { code: RPC.unsupportedOperation, message: `This operation is not supported: ${why}` }
}

/** A message to a task that takes none any more (contract/a2a 1.6). */
export function taskOver(taskId: string, why: string): RpcProblem {
  return { ...unsupportedOperation(why), data: { taskId } }
}

export function contentTypeNotSupported(): RpcProblem {
  return {
    code: RPC.contentTypeNotSupported,
    message: 'Content-Type must be application/json or application/a2a+json',
  }
}

/** What an agent demands is its card's text: so much of it is enough to find it there. */
const MAX_TOLD = 500

export function extensionRequired(missing: readonly string[]): RpcProblem {
  return {
    code: RPC.extensionRequired,
    message: 'The agent requires extensions that A2A-Extensions does not name',
    data: { missing: missing.join(', ').slice(0, MAX_TOLD) },
  }
}

export function versionNotSupported(): RpcProblem {
  return {
    code: RPC.versionNotSupported,
    message: `A2A-Version must be one of ${SUPPORTED_VERSIONS.join(', ')}`,
    data: { supported: SUPPORTED_VERSIONS.join(', ') },
  }
}
