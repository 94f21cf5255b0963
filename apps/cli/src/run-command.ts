/** @module What the command tree is made of: its global options, and how a command is run. */
import type { CommandContext } from './command-context.ts'

export type GlobalOptions = {
  readonly url?: string
  readonly json: boolean
  readonly quiet: boolean
  readonly timeout?: number
  /** Of the command itself: an interrupt lets it finish what it has begun. */
  readonly drains?: boolean
}

/** Runs one command with a context made from the global options. */
export type RunCommand = (
  options: GlobalOptions,
  command: (context: CommandContext) => Promise<void>,
) => Promise<void>

/** Examples as help shows them. */
export function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`
}
