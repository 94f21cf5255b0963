/** @module What a workspace has used, over HTTP. */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import type { readUsage } from '../../services/read-usage.ts'

const DEFAULT_DAYS = 30
const MAX_DAYS = 366

export const metricsQuery = z.object({
  days: z.coerce.number().int().min(1).max(MAX_DAYS).default(DEFAULT_DAYS),
})

/** Throws `invalid_query`. */
export function parseMetricsQuery(query: Record<string, string>) {
  const parsed = metricsQuery.safeParse(query)
  if (!parsed.success) throw new AppError('invalid_query', { cause: parsed.error })
  return parsed.data
}

export const metricsResponse = z
  .object({
    token_usage: z.array(
      z.object({
        day: z.iso.date().describe('In UTC.'),
        input_tokens: z.int(),
        output_tokens: z.int(),
        answers: z.int().describe('That said how much they had cost.'),
      }),
    ),
  })
  .meta({ id: 'WorkspaceMetrics' })

export function renderMetrics(
  usage: Awaited<ReturnType<typeof readUsage>>,
): z.input<typeof metricsResponse> {
  return {
    token_usage: usage.map(({ day, inputTokens, outputTokens, answers }) => ({
      ...{ day, answers },
      input_tokens: inputTokens,
      output_tokens: outputTokens,
    })),
  }
}
