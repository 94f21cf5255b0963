/** @module Workspaces as the platform tells them (contract/platform 7). */
import { z } from 'zod'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformClient } from '../http/platform-client.ts'
import type { Credentials } from './credentials.ts'

const workspaceRow = z.looseObject({
  id: z.string().min(1),
  name: z.string().default(''),
  status: z.string().default('unknown'),
  runtime: z.string().nullish(),
  url: z.string().nullish(),
  last_sample_error: z.string().nullish(),
})
/** A row; every text in it may come from a workspace and is hostile. */
export type WorkspaceRow = z.infer<typeof workspaceRow>

const createAnswer = z.looseObject({
  id: z.string().min(1),
  status: z.string().default(''),
  /** For an agent that runs elsewhere (contract/platform 7.2); its token is shown this once. */
  connection: z.looseObject({ auth_token: z.string() }).optional(),
})
export type CreatedWorkspace = z.infer<typeof createAnswer>

export type NewWorkspace = {
  readonly name: string
  readonly runtime: string
  readonly tier?: number | undefined
  readonly command?: string | undefined
  readonly args: readonly string[]
  /** Seconds one message may take; the runtime's default when absent. */
  readonly commandTimeoutSeconds?: number | undefined
}

export type WorkspaceApi = {
  readonly client: PlatformClient
  readonly credentials: Credentials
}

function checked<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (!parsed.success) {
    throw new CliFailure(EXIT.failed, 'the platform answered with something unexpected')
  }
  return parsed.data
}

/** All workspaces that are not removed (admin route). */
export async function listWorkspaces({
  client,
  credentials,
}: WorkspaceApi): Promise<WorkspaceRow[]> {
  const answer = await client.json({
    method: 'GET',
    segments: ['workspaces'],
    bearer: credentials.forAdmin(),
  })
  return checked(z.array(workspaceRow), answer)
}

/** One workspace by its id (open route). Throws exit 3 when there is none. */
export async function getWorkspace({ client }: WorkspaceApi, id: string): Promise<WorkspaceRow> {
  const answer = await client.json({ method: 'GET', segments: ['workspaces', id] })
  // The contract's script accepts both shapes (contract/runtime 16.1, step 2).
  const wrapped = z.looseObject({ workspace: workspaceRow }).safeParse(answer)
  return wrapped.success ? wrapped.data.workspace : checked(workspaceRow, answer)
}

/** Creates a workspace; it is usually still `provisioning` afterwards (admin route). */
export async function createWorkspace(
  { client, credentials }: WorkspaceApi,
  wanted: NewWorkspace,
): Promise<CreatedWorkspace> {
  const runtimeConfig = {
    ...(wanted.command === undefined ? {} : { command: wanted.command }),
    ...(wanted.args.length === 0 ? {} : { args: wanted.args }),
    ...(wanted.commandTimeoutSeconds === undefined
      ? {}
      : { timeout: wanted.commandTimeoutSeconds }),
  }
  const answer = await client.json({
    method: 'POST',
    segments: ['workspaces'],
    bearer: credentials.forAdmin(),
    json: {
      name: wanted.name,
      runtime: wanted.runtime,
      ...(wanted.tier === undefined ? {} : { tier: wanted.tier }),
      ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtime_config: runtimeConfig }),
    },
  })
  return checked(createAnswer, answer)
}

const removeAnswer = z.looseObject({ status: z.string(), cascade_deleted: z.number().default(0) })

export type RemoveOptions = { readonly cascade: boolean; readonly purge: boolean }

/**
 * Removes a workspace, its process and its files (admin route). Without `cascade` a workspace that
 * has children is refused with status 409.
 */
export async function removeWorkspace(
  { client, credentials }: WorkspaceApi,
  id: string,
  options: RemoveOptions,
): Promise<z.infer<typeof removeAnswer>> {
  const answer = await client.json({
    method: 'DELETE',
    segments: ['workspaces', id],
    query: {
      ...(options.cascade ? { confirm: 'true' } : {}),
      ...(options.purge ? { purge: 'true' } : {}),
    },
    bearer: credentials.forAdmin(),
  })
  return checked(removeAnswer, answer)
}

/** The end of a workspace's log, at most `tailBytes` of it (admin route). */
export async function readConsole(
  { client, credentials }: WorkspaceApi,
  id: string,
  tailBytes: number,
): Promise<string> {
  const answer = await client.json({
    method: 'GET',
    segments: ['workspaces', id, 'console'],
    query: { tail_bytes: String(tailBytes) },
    bearer: credentials.forAdmin(),
  })
  return checked(z.looseObject({ output: z.string() }), answer).output
}
