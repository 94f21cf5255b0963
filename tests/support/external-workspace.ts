/** @module A workspace whose agent fetches its messages, as its operator and its agent see it. */
import { platform } from './shared-platform.ts'

export type ExternalWorkspace = { readonly id: string; readonly authToken: string }

/** Creates one on the shared platform; with `register` its agent has said that it is there. */
export async function externalWorkspace(
  fields: Record<string, unknown> = {},
  register = true,
): Promise<ExternalWorkspace> {
  const answer = await platform.json('/workspaces', { name: 'laptop', external: true, ...fields })
  const created = (await answer.json()) as { id: string; connection: { auth_token: string } }
  const { id, connection } = created
  const authToken = connection.auth_token
  if (register) {
    await platform.json('/registry/register', { id, agent_card: { name: 'laptop' } }, authToken)
  }
  return { id, authToken }
}

export type ActivityJson = {
  readonly id: string
  readonly activity_type: string
  readonly source_id: string | null
  readonly method: string | null
  readonly summary: string | null
  readonly created_at: string
  readonly request_body?: { readonly params?: { readonly message?: Record<string, unknown> } }
  readonly response_body?: Record<string, unknown>
  readonly [key: string]: unknown
}

/** The answer to a read of the feed; the query without its question mark. */
export const readFeed = (workspace: ExternalWorkspace, query = ''): Promise<Response> =>
  platform.request(`/workspaces/${workspace.id}/activity?${query}`, { as: workspace.authToken })

/** The rows of the feed. */
export async function feed(workspace: ExternalWorkspace, query = ''): Promise<ActivityJson[]> {
  return (await (await readFeed(workspace, query)).json()) as ActivityJson[]
}

/** Reports one thing as the agent itself; returns the answer. */
export const report = (
  workspace: ExternalWorkspace,
  fields: Record<string, unknown> = {},
): Promise<Response> =>
  platform.json(
    `/workspaces/${workspace.id}/activity`,
    { activity_type: 'agent_log', ...fields },
    workspace.authToken,
  )

/** Says something to the people of the workspace as its agent. */
export const notify = (workspace: ExternalWorkspace, body: unknown): Promise<Response> =>
  platform.json(`/workspaces/${workspace.id}/notify`, body, workspace.authToken)
