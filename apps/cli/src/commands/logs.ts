/** @module `atrium workspaces logs`: the end of a workspace's log, and what is added to it. */
import type { CommandContext } from '../command-context.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { readConsole } from '../platform/workspace.ts'
import { lastLines } from '../terminal/lines.ts'
import { addedText } from './added-text.ts'

const TAIL_BYTES = 256 * 1024
const POLL_MS = 1_000

export type LogsOptions = { readonly tail: number; readonly follow: boolean }

/** Prints the log; with `follow` until interrupted, or until the workspace is gone. */
export async function logsCommand(
  context: CommandContext,
  reference: string,
  options: LogsOptions,
): Promise<void> {
  const id = await resolveWorkspaceId(context, reference)
  let seen = await readConsole(context, id, TAIL_BYTES)
  emit(context, { id, text: lastLines(seen, options.tail), isFollowing: options.follow })
  while (options.follow) {
    await context.clock.sleep(POLL_MS, context.signal)
    const next = await readConsole(context, id, TAIL_BYTES)
    const { text, hasGap } = addedText(seen, next)
    if (hasGap) context.terminal.warning('more was logged than could be read; some lines are lost')
    if (text !== '') emit(context, { id, text, isFollowing: true })
    seen = next
  }
}

type LogPiece = { readonly id: string; readonly text: string; readonly isFollowing: boolean }

function emit(context: CommandContext, { id, text, isFollowing }: LogPiece): void {
  if (isFollowing) context.terminal.jsonLine({ workspace_id: id, output: text })
  else context.terminal.json({ workspace_id: id, output: text })
  context.terminal.foreign(text)
  if (!isFollowing && text !== '' && !text.endsWith('\n')) context.terminal.line('')
}
