/** @module The body of `PATCH /workspaces/:id` (contract/platform 1.2, 7.9). */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import { workspaceIdSchema } from '../../domain/ids.ts'
import type { WorkspacePatch } from '../../services/update-workspace.ts'
import { INT4_MAX, workspaceLabel, workspaceName, workspaceRole } from './workspace-fields.wire.ts'

/** Absent stays as it is; the empty text and null say that there is none. */
const emptyAsNull = (schema: z.ZodType<string>) =>
  z
    .union([schema, z.null()])
    .transform((text) => (text === '' ? null : text))
    .optional()

const coordinate = z.number().min(-1e9).max(1e9)

/** Strict: a field that is not known here would be a change that did not happen. */
export const patchBody = z.strictObject({
  name: z
    .string()
    .transform((text) => text.trim())
    .pipe(workspaceName)
    .optional(),
  role: emptyAsNull(workspaceRole),
  tier: z.int().min(1).max(4).optional(),
  parent_id: z.union([z.literal('').transform(() => null), workspaceIdSchema, z.null()]).optional(),
  runtime: workspaceLabel.min(1).optional(),
  model: emptyAsNull(workspaceLabel),
  max_concurrent_tasks: z.int().min(1).max(INT4_MAX).optional(),
  hibernation_idle_minutes: z
    .union([z.int().min(0).max(INT4_MAX), z.null()])
    .transform((minutes) => minutes || null)
    .optional(),
  x: coordinate.optional(),
  y: coordinate.optional(),
  canvas: z.strictObject({ x: coordinate, y: coordinate }).optional(),
  collapsed: z.boolean().optional(),
  workspace_dir: z.string().nullable().optional(),
})

/** Throws `invalid_workspace_fields`, naming them, and `invalid_workspace_directory`. */
export function parsePatchBody(body: unknown): WorkspacePatch {
  const parsed = patchBody.safeParse(body)
  if (!parsed.success) {
    throw new AppError('invalid_workspace_fields', {
      extensions: { fields: [...new Set(parsed.error.issues.flatMap(namesOf))] },
    })
  }
  const fields = parsed.data
  if (fields.workspace_dir !== undefined && (fields.workspace_dir ?? '') !== '') {
    throw new AppError('invalid_workspace_directory', {
      message: 'invalid workspace directory: a workspace keeps the one that it was started with',
    })
  }
  const x = fields.canvas?.x ?? fields.x
  const y = fields.canvas?.y ?? fields.y
  return {
    ...given('name', fields.name),
    ...given('role', fields.role),
    ...given('tier', fields.tier),
    ...given('parentId', fields.parent_id),
    ...given('runtimeKind', fields.runtime),
    ...given('model', fields.model),
    ...given('maxConcurrentTasks', fields.max_concurrent_tasks),
    ...given('hibernationIdleMinutes', fields.hibernation_idle_minutes),
    ...given('canvasX', x),
    ...given('canvasY', y),
    ...given('canvasCollapsed', fields.collapsed),
  }
}

function given<Name extends keyof WorkspacePatch>(
  name: Name,
  value: WorkspacePatch[Name] | undefined,
): Partial<WorkspacePatch> {
  return value === undefined ? {} : { [name]: value }
}

/** Names only, and of unknown ones no more than a person needs: they are the caller's text. */
function namesOf(issue: z.core.$ZodIssue): readonly string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => key.slice(0, 64))
  return [issue.path.join('.') || '(body)']
}
