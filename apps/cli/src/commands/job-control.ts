/** @module `atrium workspaces job-control set | show | rm`. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Secret } from '@atrium/http-kit/secret'
import type { CommandContext } from '../command-context.ts'
import { credential } from '../config.ts'
import { reasonOf, usageFailure } from '../failure.ts'
import {
  type JobControl,
  readJobControl,
  removeJobControl,
  setJobControl,
} from '../platform/job-control.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'
import { printableLine } from '../terminal/printable.ts'

export type SetJobControlOptions = { readonly host: string; readonly tokenFile: string }

/** From a file or standard input: an argument shows in the process list. */
async function readToken(context: CommandContext, name: string): Promise<Secret> {
  const source = name === '-' ? 'standard input' : name
  let text: string
  try {
    text =
      name === '-' ? await context.readStdin() : await readFile(resolve(context.cwd, name), 'utf8')
  } catch (thrown) {
    throw usageFailure(`cannot read the token in ${source}: ${reasonOf(thrown)}`)
  }
  const token = credential(text, source)
  if (token === undefined) throw usageFailure(`there is no token in ${source}`)
  return token
}

function say({ terminal }: CommandContext, id: string, control: JobControl): void {
  terminal.json({ ...control, workspace_id: id })
  terminal.line(printableLine(control.url))
}

/** Writes down how the sessions of a workspace are read from now on. */
export async function setJobControlCommand(
  context: CommandContext,
  reference: string,
  { host, tokenFile }: SetJobControlOptions,
): Promise<void> {
  const token = await readToken(context, tokenFile)
  const id = await resolveWorkspaceId(context, reference)
  say(context, id, await setJobControl(context, id, { url: host, token }))
}

export async function showJobControlCommand(
  context: CommandContext,
  reference: string,
): Promise<void> {
  const id = await resolveWorkspaceId(context, reference)
  say(context, id, await readJobControl(context, id))
}

export async function removeJobControlCommand(
  context: CommandContext,
  reference: string,
): Promise<void> {
  const id = await resolveWorkspaceId(context, reference)
  await removeJobControl(context, id)
  context.terminal.json({ workspace_id: id, url: null })
  context.terminal.line(`removed the job control of ${id}`)
}
