/** @module What the activity log knows of: kinds of rows, and who may be behind one. */

/** What an agent may report about itself (contract/platform 5.2), in the order of its error text. */
export const REPORTABLE_ACTIVITY_TYPES = [
  'a2a_send',
  'a2a_receive',
  'task_update',
  'agent_log',
  'skill_promotion',
  'memory_write',
  'error',
] as const

export type ReportableActivityType = (typeof REPORTABLE_ACTIVITY_TYPES)[number]

export type ActivityType = ReportableActivityType | 'delegation'

/** `canvas`: a person, or something that is no workspace; `agent`: another workspace. */
export type ActivitySource = 'canvas' | 'agent'

/** PostgreSQL text holds neither U+0000 nor half a surrogate pair. */
export function storableText(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed()
}

/** The first `max` characters, never half of one (wart W32). */
export function firstCharacters(text: string, max: number): string {
  // A character is at most two UTF-16 units: the rest need not be taken apart.
  return [...text.slice(0, max * 2)].slice(0, max).join('')
}
