/** @module `atrium workspaces ls | create | rm`. */
import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { z } from 'zod'
import type { CommandContext } from '../command-context.ts'
import { CliFailure, reasonOf, usageFailure } from '../failure.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { waitUntilOnline } from '../platform/wait-until-online.ts'
import {
  type CreatedWorkspace,
  createWorkspace,
  listWorkspaces,
  removeWorkspace,
} from '../platform/workspace.ts'
import { printableLine } from '../terminal/printable.ts'
import { formatSeconds, tableLines } from '../terminal/table.ts'
import { shellWord } from './shell-word.ts'

/** Lists workspaces, as a table for people. */
export async function listCommand(context: CommandContext): Promise<void> {
  const rows = await listWorkspaces(context)
  context.terminal.json(rows)
  if (rows.length === 0) {
    context.terminal.notice('no workspaces yet; `atrium workspaces create` makes one')
    return
  }
  const heading = ['ID', 'NAME', 'STATUS', 'RUNTIME']
  const cells = rows.map((row) => [row.id, row.name, row.status, row.runtime ?? ''])
  for (const line of tableLines([heading, ...cells])) context.terminal.line(line)
}

export type CreateOptions = {
  readonly runtime: string
  readonly command?: string
  readonly arg: readonly string[]
  readonly tier?: number
  readonly commandTimeout?: number
  readonly tokenFile?: string
  readonly wait: boolean
}

/** Creates a workspace and, unless told otherwise, waits until it is online. */
export async function createCommand(
  context: CommandContext,
  name: string,
  options: CreateOptions,
): Promise<void> {
  if (options.arg.length > 0 && options.command === undefined) {
    throw usageFailure('--arg needs --command')
  }
  if (
    options.runtime === 'external' &&
    options.tokenFile === undefined &&
    !context.terminal.isJson
  ) {
    throw usageFailure(
      'an external workspace needs --token-file: its token is told this once',
      'or --json, which prints all that connects an agent, the token too',
    )
  }
  const tokenFile = await openTokenFile(context, options.tokenFile)
  const startedMs = context.clock.now().getTime()
  const created = await createWorkspace(context, {
    name,
    runtime: options.runtime,
    tier: options.tier,
    command: options.command,
    args: options.arg,
    commandTimeoutSeconds: options.commandTimeout,
  })
  context.terminal.notice(`created ${created.id}`)
  await tokenFile?.keep(created)
  if (created.connection !== undefined) {
    context.terminal.json(created)
    context.terminal.line(created.id)
    return
  }
  if (!options.wait) {
    context.terminal.json(created)
    context.terminal.line(created.id)
    return
  }
  const row = await waitUntilOnline(context, created.id)
  const elapsedSeconds = (context.clock.now().getTime() - startedMs) / 1000
  context.terminal.json({ ...row, elapsed_seconds: elapsedSeconds })
  const status = printableLine(row.status)
  context.terminal.line(`${row.id}  ${status} after ${formatSeconds(elapsedSeconds)}`)
}

/** Opened before anything is created: a token that cannot be kept would be lost. */
async function openTokenFile(context: CommandContext, name: string | undefined) {
  if (name === undefined) return undefined
  const path = resolve(context.cwd, name)
  let handle: FileHandle
  try {
    handle = await open(path, 'wx', 0o600)
  } catch (thrown) {
    const reason = hasErrorCode(thrown, 'EEXIST') ? 'it exists already' : reasonOf(thrown)
    throw usageFailure(`cannot write ${name}: ${reason}`)
  }
  return {
    async keep({ id, connection }: CreatedWorkspace): Promise<void> {
      try {
        await handle.writeFile(connection === undefined ? '' : `${connection.auth_token}\n`)
        await handle.sync()
      } finally {
        await handle.close()
      }
      const next = `atrium connect ${id} --token-file ${shellWord(name)} --exec ...`
      if (connection !== undefined) context.terminal.notice(`next: ${next}`)
    },
  }
}

export type RemoveCommandOptions = { readonly cascade: boolean; readonly purge: boolean }

/** Removes workspaces one after the other; the first failure stops, and what was done is said. */
export async function removeCommand(
  context: CommandContext,
  references: readonly string[],
  options: RemoveCommandOptions,
): Promise<void> {
  const results: unknown[] = []
  try {
    for (const reference of references) {
      const id = await resolveWorkspaceId(context, reference)
      const removed = await removeOne(context, id, options)
      results.push({ id, status: removed.status, cascade_deleted: removed.cascade_deleted })
      const children = removed.cascade_deleted
      const also = children === 0 ? '' : ` and ${children} below it`
      context.terminal.line(`${printableLine(removed.status)} ${id}${also}`)
    }
  } finally {
    context.terminal.json(results)
  }
}

async function removeOne(context: CommandContext, id: string, options: RemoveCommandOptions) {
  try {
    return await removeWorkspace(context, id, options)
  } catch (thrown) {
    if (!(thrown instanceof CliFailure) || thrown.facts.status !== 409) throw thrown
    throw new CliFailure(thrown.exitCode, thrown.message, {
      ...thrown.facts,
      hint: 'use --cascade to remove the workspaces below it too',
    })
  }
}

/** Positive whole number of an option. Throws a usage failure that names the option. */
/** As the platform allows one (docs/guides/activity.md). */
export function cursorName(name: string): (value: string) => string {
  return (value) => {
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value)) return value
    throw usageFailure(`${name} wants at most 64 letters, digits, '.', '_' and '-'`)
  }
}

export function positiveInteger(name: string): (value: string) => number {
  return (value) => {
    const parsed = z.coerce.number().int().positive().max(1_000_000_000).safeParse(value)
    if (!parsed.success) throw usageFailure(`${name} wants a positive whole number`)
    return parsed.data
  }
}
