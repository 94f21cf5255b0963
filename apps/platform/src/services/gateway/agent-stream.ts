/**
 * @module An agent's stream for the one who asked for it: read to the end of its task whether or not
 * that one stays, and told in the dialect of whoever reads it (contract/a2a 2.7).
 */
import type { Readable } from 'node:stream'
import { isJsonObject, type JsonObject, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { replaceId } from '@atrium/a2a-schema/replace-id'
import type { AppError } from '@atrium/http-kit/app-error'
import type { EventFlow, StreamedEvent } from '../../domain/task-stream.ts'
import type { Heartbeats } from '../streams/heartbeats.ts'
import { answersNobody, errorEvent, readStreamEvent, taskEvent } from '../streams/stream-event.ts'
import { eventFrames } from '../streams/stream-frames.ts'
import type { AgentStream, TaskStreams } from '../streams/task-streams.ts'
import type { TaskAgent } from '../streams/whole-stream.ts'
import { envelopeFor, isToldAsWritten, type Reading } from './reply-for-sender.ts'
import { type TaskAgentDeps, taskAgent } from './task-agent.ts'

/** `isOwnId`: the agent was asked under the caller's own id, and says it by itself. */
export type OwnReading = Reading & { readonly isOwnId: boolean }

export type AgentStreamDeps = TaskAgentDeps & {
  readonly streams: TaskStreams
  readonly heartbeats: Heartbeats
}

/** Must be consumed or destroyed. */
export function adoptedStream(
  deps: AgentStreamDeps,
  stream: Omit<AgentStream, 'agentOf'>,
  reading: OwnReading,
): Readable {
  const { workspaceId, dialect } = stream
  const agentOf = (upstreamTaskId: string): TaskAgent =>
    taskAgent(deps, { workspaceId, dialect, upstreamTaskId })
  // The name by which the sender knows the task is in the events already.
  const told = { ...reading, alias: undefined }
  return eventFrames({
    flow: deps.streams.adopt({ ...stream, agentOf }),
    heartbeats: deps.heartbeats,
    ...renderingFor(told),
    before: beginsWithTask(reading) ? (first) => taskBefore(first, told, agentOf) : undefined,
  })
}

/** Events of a flow as this caller reads them. */
export function flowFrames(
  deps: Pick<AgentStreamDeps, 'heartbeats'>,
  told: {
    readonly flow: EventFlow
    readonly reading: Reading
    readonly before?: (first: StreamedEvent) => Promise<Buffer | undefined>
  },
): Readable {
  const { flow, reading, before } = told
  return eventFrames({ flow, heartbeats: deps.heartbeats, ...renderingFor(reading), before })
}

/** 1.0 has it that the task comes first; 0.3 has no such rule (contract/a2a 1.5). */
function beginsWithTask({ from, to }: Reading): boolean {
  return from === '0.3' && to === '1.0'
}

async function taskBefore(
  first: StreamedEvent,
  reading: Reading,
  agentOf: (upstreamTaskId: string) => TaskAgent,
): Promise<Buffer | undefined> {
  const { kind, taskId, contextId } = readStreamEvent(first.data)
  if (kind !== 'status' && kind !== 'artifact') return undefined
  const id = first.taskId ?? taskId ?? ''
  const asked =
    taskId === undefined ? undefined : await agentOf(taskId).askTask(AbortSignal.timeout(5_000))
  const task: JsonObject =
    asked?.kind === 'task'
      ? { ...asked.task, id }
      : { id, contextId: contextId ?? '', status: { state: 'working' } }
  return rendered(taskEvent(task, '0.3'), reading)
}

function renderingFor(reading: Reading | OwnReading) {
  return {
    render: (data: Buffer): Buffer | undefined => rendered(data, reading),
    renderFailure: (failure: AppError): Buffer =>
      rendered(errorEvent(failure), reading) ?? errorEvent(failure),
  }
}

/** The agent's own bytes, but for the id, wherever the caller can read them. */
export function rendered(data: Buffer, reading: Reading | OwnReading): Buffer | undefined {
  const told = asRead(data, reading)
  return told === undefined || reading.view === undefined ? told : reading.view(told)
}

function asRead(data: Buffer, reading: Reading | OwnReading): Buffer | undefined {
  if (isToldAsWritten(reading)) {
    const isOwn = 'isOwnId' in reading && reading.isOwnId && !answersNobody(data)
    return isOwn ? data : Buffer.from(replaceId(data, reading.id))
  }
  const envelope = parseLossless(data.toString('utf8'))
  const readable = isJsonObject(envelope) ? envelopeFor(envelope, reading) : undefined
  return readable === undefined ? undefined : Buffer.from(JSON.stringify(readable))
}
