/** @module Waits for a new workspace and says what it is doing meanwhile. */
import type { Clock } from '@atrium/http-kit/clock'
import { CliFailure, EXIT } from '../failure.ts'
import { printableLine } from '../terminal/printable.ts'
import { formatSeconds } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { getWorkspace, listWorkspaces, type WorkspaceApi, type WorkspaceRow } from './workspace.ts'

const FIRST_POLL_MS = 100
const SLOWEST_POLL_MS = 1_000

export type WaitContext = WorkspaceApi & {
  readonly terminal: Terminal
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly budgetMs: number
}

/**
 * Resolves when the workspace is online (or waits for an agent of the user's own). Throws exit 1
 * with the platform's reason when it failed, and exit 5 when the time is over.
 */
export async function waitUntilOnline(context: WaitContext, id: string): Promise<WorkspaceRow> {
  const startedMs = context.clock.now().getTime()
  let pollMs = FIRST_POLL_MS
  let shownStatus = ''
  for (;;) {
    const row = await getWorkspace(context, id)
    const elapsedMs = context.clock.now().getTime() - startedMs
    if (row.status !== shownStatus) context.terminal.notice(statusLine(row, elapsedMs))
    shownStatus = row.status
    if (row.status === 'online' || row.status === 'awaiting_agent') return row
    if (row.status === 'failed' || row.status === 'removed') throw await failedToStart(context, row)
    if (elapsedMs > context.budgetMs) throw stillStarting(row, context.budgetMs)
    await context.clock.sleep(pollMs, context.signal)
    pollMs = Math.min(pollMs * 1.5, SLOWEST_POLL_MS)
  }
}

function statusLine(row: WorkspaceRow, elapsedMs: number): string {
  const after = elapsedMs < 100 ? '' : ` after ${formatSeconds(elapsedMs / 1000)}`
  return `${row.name}: ${row.status}${after}`
}

function stillStarting(row: WorkspaceRow, budgetMs: number): CliFailure {
  const waited = formatSeconds(budgetMs / 1000)
  return new CliFailure(EXIT.unreachable, `still ${row.status} after ${waited}`, {
    retryable: true,
    hint: `atrium workspaces logs ${row.id}`,
  })
}

/** The reason stands only in the admin's list: the open single read strips it. */
async function failedToStart(api: WorkspaceApi, row: WorkspaceRow): Promise<CliFailure> {
  const rows = await listWorkspaces(api)
  const sample = rows.find((candidate) => candidate.id === row.id)?.last_sample_error
  const reason = printableLine(sample ?? row.last_sample_error ?? '')
  return new CliFailure(
    EXIT.failed,
    `the workspace is ${row.status}${reason === '' ? '' : `: ${reason}`}`,
    { hint: `atrium workspaces logs ${row.id}` },
  )
}
