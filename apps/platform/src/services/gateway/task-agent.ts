/** @module How the agent of one task is asked about it, by the platform itself (contract/a2a 2.6, 2.7). */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { methodName, type Operation } from '@atrium/a2a-schema/method'
import { readResult } from '@atrium/a2a-schema/result-facts'
import { findAppError } from '@atrium/http-kit/app-error'
import type { Ids } from '@atrium/http-kit/clock'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { AgentDialect } from '../../domain/task-stream.ts'
import { discardAnswer } from '../../upstream/agent-client.ts'
import { type ForwardTargetDeps, findForwardTarget } from '../resolve-forward-target.ts'
import type { AgentBody, AskedTask, TaskAgent } from '../streams/whole-stream.ts'
import { type AgentReply, type ExchangeDeps, exchangeWithAgent } from './agent-exchange.ts'
import { RPC } from './rpc-problem.ts'

export type TaskAgentDeps = ForwardTargetDeps & ExchangeDeps & { readonly ids: Ids }

export type AgentTask = {
  readonly workspaceId: WorkspaceId
  readonly upstreamTaskId: string
  readonly dialect: AgentDialect
}

/** An agent that does not say in this time how a task stands is asked again. */
const ASK_MS = 30_000

export function taskAgent(deps: TaskAgentDeps, task: AgentTask): TaskAgent {
  return {
    async askTask(signal) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)])
      const reply = await askAgentOf(deps, task, { operation: 'get', signal: deadline })
      if (reply === undefined || reply.kind === 'stream') {
        if (reply !== undefined) discardAnswer(reply.body)
        return { kind: 'failed' }
      }
      return askedTask(reply.envelope)
    },
    async resubscribe(signal): Promise<AgentBody | undefined> {
      const reply = await askAgentOf(deps, task, { operation: 'subscribe', signal })
      return reply?.kind === 'stream' ? reply.body : undefined
    },
  }
}

type Question = {
  readonly operation: Operation
  readonly params?: JsonObject
  readonly signal: AbortSignal
}

/** What the agent says; undefined when it cannot be asked. */
export async function askAgentOf(
  deps: TaskAgentDeps,
  { workspaceId, upstreamTaskId, dialect }: AgentTask,
  { operation, params, signal }: Question,
): Promise<AgentReply | undefined> {
  const method = methodName(operation, dialect)
  try {
    const target = await findForwardTarget(deps, workspaceId)
    return await exchangeWithAgent(deps, {
      target,
      body: Buffer.from(
        JSON.stringify({
          ...{ jsonrpc: '2.0', id: deps.ids.uuid(), method },
          params: params ?? { id: upstreamTaskId },
        }),
      ),
      headers: { 'a2a-version': dialect },
      requestId: deps.ids.uuid(),
      deliveryId: undefined,
      signal,
    })
  } catch (error) {
    // Whoever asks asks again, and says so in the end.
    if (findAppError(error) !== undefined || signal.aborted) return undefined
    throw error
  }
}

function askedTask({ result, error }: JsonObject): AskedTask {
  if (isJsonObject(error)) {
    return error['code'] === RPC.taskNotFound ? { kind: 'absent' } : { kind: 'failed' }
  }
  const task = taskOf(result)
  return task === undefined ? { kind: 'failed' } : { kind: 'task', task }
}

function taskOf(result: JsonValue | undefined): JsonObject | undefined {
  const read = readResult(result)
  return read?.kind === 'task' ? read.value : undefined
}
