/** @module What an answer says its model has read and written (contract/platform 4.11). */
import { isJsonNumber, isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'

export type TokenUsage = { readonly inputTokens: number; readonly outputTokens: number }

/** More is no count of one answer, and would make the sums of everybody else's useless. */
const MAX_TOKENS_PER_ANSWER = 1_000_000_000

/**
 * `result.usage`, or `usage` beside it: an agent's own word, so that what is no count is not counted.
 * Undefined when neither of its numbers is one.
 */
export function tokenUsageOf(answer: JsonValue | undefined): TokenUsage | undefined {
  const usage = member(member(answer, 'result'), 'usage') ?? member(answer, 'usage')
  const inputTokens = countOf(member(usage, 'input_tokens'))
  const outputTokens = countOf(member(usage, 'output_tokens'))
  if (inputTokens === undefined && outputTokens === undefined) return undefined
  return { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 }
}

function member(of: JsonValue | undefined, key: string): JsonValue | undefined {
  return isJsonObject(of) && Object.hasOwn(of, key) ? of[key] : undefined
}

function countOf(value: JsonValue | undefined): number | undefined {
  if (value === undefined || !isJsonNumber(value)) return undefined
  const count = typeof value === 'number' ? value : Number(value.rawJSON)
  return Number.isSafeInteger(count) && count >= 0 && count <= MAX_TOKENS_PER_ANSWER
    ? count
    : undefined
}
