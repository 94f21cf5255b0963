/** @module Typed identifiers, one brand per kind. */
import { z } from 'zod'

/** Any UUID spelling is accepted (contract/platform 1.0); the lower-case form is the identity. */
export const workspaceIdSchema = z
  .guid()
  .transform((id) => id.toLowerCase())
  .brand<'WorkspaceId'>()
export type WorkspaceId = z.infer<typeof workspaceIdSchema>

/** The typed id, or undefined when the text is not a UUID. */
export function parseWorkspaceId(text: string): WorkspaceId | undefined {
  const parsed = workspaceIdSchema.safeParse(text)
  return parsed.success ? parsed.data : undefined
}
