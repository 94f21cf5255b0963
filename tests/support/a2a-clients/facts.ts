/** @module What a client of any generation was told, whatever its generation calls it. */
import { TaskState } from '@a2a-js/sdk'

export type Facts = {
  /** As in 0.3: `completed`; undefined for a message. */
  readonly state: string | undefined
  readonly taskId: string | undefined
  /** All that was said in artifacts and messages of the agent, in one. */
  readonly text: string
}

/** Of a task, a message, an event, or the wrapper of one of them. */
export function factsOf(told: unknown): Facts {
  const inner = unwrapped(told)
  const status = record(inner['status'])
  const artifact = inner['artifact'] === undefined ? [] : [inner['artifact']]
  const artifacts = Array.isArray(inner['artifacts']) ? inner['artifacts'] : artifact
  const parts = [...artifacts, inner, status['message']].flatMap((each) => {
    const own = record(each)['parts']
    return Array.isArray(own) ? own : []
  })
  const id =
    inner['status'] !== undefined && inner['taskId'] === undefined ? inner['id'] : undefined
  const taskId = inner['taskId'] ?? id
  return {
    state: stateOf(status['state']),
    taskId: typeof taskId === 'string' && taskId !== '' ? taskId : undefined,
    text: parts.map(textOf).join(''),
  }
}

const WRAPPERS = ['task', 'message', 'statusUpdate', 'artifactUpdate', 'msg'] as const

/** A JSON-RPC answer, an event of 1.0, or a `oneof` as SDK 1.3.0 has it. */
function unwrapped(told: unknown): Readonly<Record<string, unknown>> {
  const outer = record(told)
  if (outer['jsonrpc'] !== undefined) return unwrapped(outer['result'])
  const payload = record(outer['payload'])
  if (payload['$case'] !== undefined) return unwrapped(payload['value'])
  if (outer['status'] !== undefined || outer['parts'] !== undefined) return outer
  if (outer['artifact'] !== undefined) return outer
  for (const name of WRAPPERS) {
    if (typeof outer[name] === 'object' && outer[name] !== null) return record(outer[name])
  }
  return outer
}

function stateOf(state: unknown): string | undefined {
  if (state === undefined || state === null) return undefined
  const name = typeof state === 'number' ? (TaskState[state] ?? String(state)) : String(state)
  return name
    .replace(/^TASK_STATE_/, '')
    .toLowerCase()
    .replace('_', '-')
}

function textOf(part: unknown): string {
  const { text, content } = record(part)
  if (typeof text === 'string') return text
  const { $case: name, value } = record(content)
  return name === 'text' && typeof value === 'string' ? value : ''
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
