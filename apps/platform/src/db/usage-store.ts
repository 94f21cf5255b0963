/** @module What the answers of a workspace have cost in model tokens, day by day. */
import { and, desc, eq, gte, sql } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { TokenUsage } from '../domain/token-usage.ts'
import type { Db } from './client.ts'
import { workspaceTokenUsage } from './schema.ts'

export type DailyUsage = TokenUsage & {
  /** In UTC: `2026-11-27`. */
  readonly day: string
  /** How many answers have said something. */
  readonly answers: number
}

/** Added to the day's sums, which stop where a JavaScript number would begin to round. */
export async function addUsage(
  db: Db,
  { workspaceId, ...usage }: DailyUsage & { readonly workspaceId: WorkspaceId },
): Promise<'added' | 'absent'> {
  const rows = await db.execute(sql`
    INSERT INTO workspace_token_usage AS kept
      (workspace_id, day, input_tokens, output_tokens, answers)
    SELECT id, ${usage.day}::date, ${usage.inputTokens}::bigint, ${usage.outputTokens}::bigint,
           ${usage.answers}::bigint
      FROM workspaces WHERE id = ${workspaceId}
    ON CONFLICT (workspace_id, day) DO UPDATE
      SET input_tokens = LEAST(kept.input_tokens + EXCLUDED.input_tokens, ${MAX_SUM}::bigint),
          output_tokens = LEAST(kept.output_tokens + EXCLUDED.output_tokens, ${MAX_SUM}::bigint),
          answers = kept.answers + EXCLUDED.answers
    RETURNING day`)
  return rows.length === 1 ? 'added' : 'absent'
}

const MAX_SUM = Number.MAX_SAFE_INTEGER

/** The days from `since` on that have something, latest first. */
export async function listUsage(
  db: Db,
  of: { readonly workspaceId: WorkspaceId; readonly since: string },
): Promise<DailyUsage[]> {
  const { day, inputTokens, outputTokens, answers } = workspaceTokenUsage
  return await db
    .select({ day, inputTokens, outputTokens, answers })
    .from(workspaceTokenUsage)
    .where(and(eq(workspaceTokenUsage.workspaceId, of.workspaceId), gte(day, of.since)))
    .orderBy(desc(day))
}
