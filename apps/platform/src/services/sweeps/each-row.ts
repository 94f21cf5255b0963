/** @module The rows that a pass goes through: all of them, a batch at a time. */
import type { WorkspaceRow } from '../../db/schema.ts'
import type { After } from '../../db/sweep-store.ts'

/**
 * Every row of `list`, which gives the next batch after an id in the order of ids, and none at the
 * end. Ends early when `signal` is aborted. Throws what `list` throws.
 */
export async function* eachRow(
  list: (after: After) => Promise<readonly WorkspaceRow[]>,
  signal: AbortSignal,
): AsyncGenerator<WorkspaceRow, void, undefined> {
  let after: After
  for (;;) {
    const rows = await list(after)
    for (const row of rows) {
      if (signal.aborted) return
      yield row
    }
    after = rows.at(-1)?.id
    if (after === undefined || signal.aborted) return
  }
}
