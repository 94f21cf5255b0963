/** @module The states of a task, in every spelling (contract/a2a 1.4). */
import type { JsonValue } from './lossless-json.ts'
import type { SpokenDialect } from './method.ts'

type StateRow = {
  /** As a 0.3 agent writes it. */
  readonly legacy: string
  /** As ProtoJSON may write it instead of the name. */
  readonly number: number
  readonly kind: 'active' | 'interrupted' | 'terminal' | 'unknown'
}

/** As 1.0 spells it: that is how states are kept and compared. */
export type TaskState =
  | 'TASK_STATE_UNSPECIFIED'
  | 'TASK_STATE_SUBMITTED'
  | 'TASK_STATE_WORKING'
  | 'TASK_STATE_COMPLETED'
  | 'TASK_STATE_FAILED'
  | 'TASK_STATE_CANCELED'
  | 'TASK_STATE_INPUT_REQUIRED'
  | 'TASK_STATE_REJECTED'
  | 'TASK_STATE_AUTH_REQUIRED'

const STATES: Readonly<Record<TaskState, StateRow>> = {
  TASK_STATE_UNSPECIFIED: { legacy: 'unknown', number: 0, kind: 'unknown' },
  TASK_STATE_SUBMITTED: { legacy: 'submitted', number: 1, kind: 'active' },
  TASK_STATE_WORKING: { legacy: 'working', number: 2, kind: 'active' },
  TASK_STATE_COMPLETED: { legacy: 'completed', number: 3, kind: 'terminal' },
  TASK_STATE_FAILED: { legacy: 'failed', number: 4, kind: 'terminal' },
  TASK_STATE_CANCELED: { legacy: 'canceled', number: 5, kind: 'terminal' },
  TASK_STATE_INPUT_REQUIRED: { legacy: 'input-required', number: 6, kind: 'interrupted' },
  TASK_STATE_REJECTED: { legacy: 'rejected', number: 7, kind: 'terminal' },
  TASK_STATE_AUTH_REQUIRED: { legacy: 'auth-required', number: 8, kind: 'interrupted' },
}

/** Every state, in the order of their numbers. */
export const TASK_STATES: readonly TaskState[] = [
  'TASK_STATE_UNSPECIFIED',
  'TASK_STATE_SUBMITTED',
  'TASK_STATE_WORKING',
  'TASK_STATE_COMPLETED',
  'TASK_STATE_FAILED',
  'TASK_STATE_CANCELED',
  'TASK_STATE_INPUT_REQUIRED',
  'TASK_STATE_REJECTED',
  'TASK_STATE_AUTH_REQUIRED',
]

const PREFIX = 'TASK_STATE_'

const BY_NAME: ReadonlyMap<string, TaskState> = new Map([
  ...TASK_STATES.map((state) => [state, state] as const),
  [`${PREFIX}CANCELLED`, 'TASK_STATE_CANCELED'],
  [`${PREFIX}UNKNOWN`, 'TASK_STATE_UNSPECIFIED'],
])

/**
 * The state that `value` names in any dialect and any case, with one L or two, as a name or as the
 * number of ProtoJSON; undefined for everything else.
 */
export function readState(value: JsonValue | undefined): TaskState | undefined {
  if (typeof value === 'number') return TASK_STATES[value]
  if (typeof value !== 'string') return undefined
  const name = value.toUpperCase().replaceAll('-', '_')
  return BY_NAME.get(name.startsWith(PREFIX) ? name : PREFIX + name)
}

/** The state as the dialect spells it. */
export function stateName(state: TaskState, dialect: SpokenDialect): string {
  return dialect === '1.0' ? state : STATES[state].legacy
}

/** Whether nothing can come after this state. */
export function isTerminal(state: TaskState): boolean {
  return STATES[state].kind === 'terminal'
}

/** Whether the task waits for its sender, so that a stream about it may end here (contract/a2a 1.5). */
export function isInterrupted(state: TaskState): boolean {
  return STATES[state].kind === 'interrupted'
}
