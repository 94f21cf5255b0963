/**
 * @module What becomes of every shape of a message that is known to be sent, as data: contract/a2a
 * 2.3 (`M1` to `M20`, by the number of its row) and 2.4 (`C…`). The tests run every row, and every
 * row is hit by an entry of the corpus. A decision is changed here first.
 */
import { BODY_DECISIONS } from './body-decisions.ts'
import { CASE_DECISIONS } from './case-decisions.ts'
import type { Decision } from './decision.ts'
import { MESSAGE_DECISIONS } from './message-decisions.ts'
import { PART_DECISIONS } from './part-decisions.ts'

/** Every decision about a message of `message/send` or `SendMessage`; 0.1 (M19) has its own test. */
export const DECISIONS: readonly Decision[] = [
  ...BODY_DECISIONS,
  ...PART_DECISIONS,
  ...MESSAGE_DECISIONS,
  ...CASE_DECISIONS,
]
