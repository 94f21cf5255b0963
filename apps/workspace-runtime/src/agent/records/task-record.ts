/** @module A task as a text on the disk, and back. */
import { Task } from '@a2a-js/sdk'
import { isTooDeep, MAX_RECORD_NESTING } from '../nesting.ts'

const VERSION = 1

/** The text of the record. */
export function taskText(task: Task): string {
  return JSON.stringify({ version: VERSION, task: Task.toJSON(task) })
}

/**
 * The task of a record; undefined for anything else. The agent can write where records are: what
 * comes back has every field that the SDK takes on trust, and the name it was looked up by.
 */
export function parseTask(name: string, text: string): Task | undefined {
  try {
    const record: unknown = JSON.parse(text)
    if (!isRecord(record) || record['version'] !== VERSION) return undefined
    if (isTooDeep(record, MAX_RECORD_NESTING)) return undefined
    const task = Task.fromJSON(record['task'])
    if (task.id !== name || task.status === undefined) return undefined
    return Number.isNaN(Date.parse(task.status.timestamp ?? '')) ? undefined : task
  } catch {
    // Not JSON, or of a shape that the SDK's own reader stumbles over.
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
