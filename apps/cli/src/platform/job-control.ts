/** @module The job-control host that a workspace's sessions are read over (admin routes). */
import type { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformRequest } from '../http/platform-client.ts'
import type { WorkspaceApi } from './workspace.ts'

/** Whatever else a platform says is not repeated: it must not be the way that a token comes out. */
const jobControl = z.object({
  url: z.string(),
  created_at: z.string().optional(),
  updated_at: z.string().optional(),
})
export type JobControl = z.infer<typeof jobControl>

function call({ credentials }: WorkspaceApi, method: PlatformRequest['method'], id: string) {
  return { method, segments: ['workspaces', id, 'job-control'], bearer: credentials.forAdmin() }
}

function checked(answer: unknown): JobControl {
  const parsed = jobControl.safeParse(answer)
  if (parsed.success) return parsed.data
  throw new CliFailure(EXIT.failed, 'the platform answered with something unexpected')
}

export async function setJobControl(
  api: WorkspaceApi,
  id: string,
  wanted: { readonly url: string; readonly token: Secret },
): Promise<JobControl> {
  const json = { url: wanted.url, token: wanted.token.reveal() }
  return checked(await api.client.json({ ...call(api, 'PUT', id), json }))
}

/** Throws exit 3 when none is set. */
export async function readJobControl(api: WorkspaceApi, id: string): Promise<JobControl> {
  return checked(await api.client.json(call(api, 'GET', id)))
}

export async function removeJobControl(api: WorkspaceApi, id: string): Promise<void> {
  await api.client.json(call(api, 'DELETE', id))
}
