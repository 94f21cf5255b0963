/** @module The job-control host of a workspace over HTTP: everything about it but its token. */
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import type { JobControlFacts } from '../../services/inspector/job-control.ts'
import { parseBody } from '../read-json.ts'

export const jobControlBody = z.strictObject({
  url: z.string().max(2_048).describe('http or https, without credentials, query and fragment.'),
  token: z.string().describe('What the host knows the platform by. It is never told again.'),
})

export const jobControlResponse = z.object({
  workspace_id: z.uuid(),
  url: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

export const jobControlRemovedResponse = z.object({ status: z.literal('removed') })

/** Throws `invalid_request_body`. */
export function parseJobControlBody(value: unknown): {
  readonly url: string
  readonly token: Secret
} {
  const { url, token } = parseBody(jobControlBody, value)
  return { url, token: new Secret(token) }
}

export function renderJobControl(facts: JobControlFacts): z.input<typeof jobControlResponse> {
  return {
    workspace_id: facts.workspaceId,
    url: facts.url,
    created_at: facts.createdAt.toISOString(),
    updated_at: facts.updatedAt.toISOString(),
  }
}
