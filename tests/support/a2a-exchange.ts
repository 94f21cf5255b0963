/** @module Exchanges with the agent of the boxed workspace: a request, its answer, its record. */
import { box, workspace } from './boxed-workspace.ts'
import { platform } from './shared-platform.ts'

/** Sends the body as the workspace itself. */
export const send = (body: string, headers: Record<string, string> = {}) =>
  platform.request(`/workspaces/${workspace.id}/a2a`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
    as: workspace.authToken,
  })

export const message = {
  kind: 'message',
  messageId: 'm1',
  role: 'user',
  parts: [{ kind: 'text', text: 'hi' }],
}
/** A call of `message/send`, unless the fields say otherwise. */
export const request = (fields: object = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'message/send', params: { message }, ...fields })

/** The rows of the activity log that the exchanges have left. */
export const activity = () => platform.client.sql`
  SELECT seq, activity_type, method, status, source_id,
         request_body::jsonb, response_body::jsonb
    FROM activity_logs WHERE workspace_id = ${workspace.id} ORDER BY seq`

export const RESULT = '{"jsonrpc":"2.0","id":7,"result":{"kind":"message"}}'
/** Has the agent answer so from now on. */
export const answerWith = (status: number, type: string, body: string) => {
  box.answer = (_, response) => response.writeHead(status, { 'content-type': type }).end(body)
}
