/** @module One agent asks another to do something and does not wait (contract/platform 4.10). */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { readResult } from '@atrium/a2a-schema/result-facts'
import { firstCharacters, storableText } from './activity.ts'
import type { WorkspaceId } from './ids.ts'

export const DELEGATION_STATUSES = [
  'pending',
  'dispatched',
  'queued',
  'in_progress',
  'completed',
  'failed',
] as const
export type DelegationStatus = (typeof DELEGATION_STATUSES)[number]

export function isOver(status: DelegationStatus): boolean {
  return status === 'completed' || status === 'failed'
}

export type Delegation = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  readonly targetId: WorkspaceId
  readonly task: string
  readonly status: DelegationStatus
  /** Sent by the workspace itself and only written down here. */
  readonly isRecorded: boolean
  readonly responsePreview: string | null
  readonly error: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** How it ended; each ends once. */
export type DelegationEnd =
  | { readonly status: 'completed'; readonly text: string }
  | { readonly status: 'failed'; readonly error: string }

/** Contract/runtime 9.4. */
export const PREVIEW_CHARACTERS = 500
/** Of an answer so much goes into the log. */
const MAX_TEXT_CHARACTERS = 64 * 1024
const MAX_ERROR_CHARACTERS = 4_096

/** What an agent's JSON-RPC answer means to who delegated; undefined: it is still at it. */
export function endOfAnswer(answer: JsonValue | undefined): DelegationEnd | undefined {
  if (!isJsonObject(answer)) return { status: 'failed', error: 'the answer was not kept' }
  const { error, result } = answer
  if (isJsonObject(error)) return failedWith(String(error['message'] ?? 'the agent refused'))
  const read = readResult(result)
  if (read === undefined) return failedWith('the agent answered with something else than a result')
  const { kind, value } = read
  if (kind === 'message') return { status: 'completed', text: bounded(textOf(value)) }
  const status = isJsonObject(value['status']) ? value['status'] : {}
  const state = String(status['state'] ?? '').toLowerCase()
  const text = bounded(textOfTask(value))
  if (/failed|rejected|canceled/.test(state)) return failedWith(text || `the task is ${state}`)
  if (/completed|required/.test(state)) return { status: 'completed', text }
  return undefined
}

export function failedWith(error: string): DelegationEnd {
  return { status: 'failed', error: firstCharacters(storableText(error), MAX_ERROR_CHARACTERS) }
}

function bounded(text: string): string {
  return firstCharacters(storableText(text), MAX_TEXT_CHARACTERS)
}

/** What it has made, else what it said last. */
function textOfTask(task: JsonObject): string {
  const { artifacts, status, history } = task
  const made = Array.isArray(artifacts) ? artifacts.map(textOf).filter(Boolean).join('\n') : ''
  if (made !== '') return made
  const said = isJsonObject(status) ? textOf(status['message']) : ''
  if (said !== '') return said
  return Array.isArray(history) ? textOf(history.at(-1)) : ''
}

function textOf(holder: JsonValue | undefined): string {
  const parts = isJsonObject(holder) ? holder['parts'] : undefined
  if (!Array.isArray(parts)) return ''
  const texts = parts.map((part: JsonValue) => (isJsonObject(part) ? part['text'] : undefined))
  return texts.filter((text) => typeof text === 'string').join('\n')
}
