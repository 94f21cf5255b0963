/** @module What an agent says about itself: reports and messages to its people (contract/platform 5.2, 5.3). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import type { Appended } from '../db/activity-store.ts'
import { firstCharacters, type ReportableActivityType, storableText } from '../domain/activity.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { getWorkspace } from './find-workspace.ts'
import { type LogActivityDeps, logActivity } from './log-activity.ts'

export type ReportActivityDeps = LogActivityDeps & { readonly clock: Clock; readonly ids: Ids }

const PREVIEW_CHARACTERS = 80

export type ActivityReport = {
  readonly activityType: ReportableActivityType
  /** The workspace itself when undefined. */
  readonly sourceId: WorkspaceId | undefined
  readonly targetId: WorkspaceId | null
  readonly method: string | null
  readonly summary: string | null
  readonly status: string
  readonly errorDetail: string | null
  readonly durationMs: number | null
  readonly requestBody: unknown
  readonly responseBody: unknown
}

/**
 * Logs what a workspace reports about itself. Throws `activity_source_mismatch`,
 * `workspace_not_found`, `invalid_request_body`.
 */
export async function reportActivity(
  deps: ReportActivityDeps,
  workspaceId: WorkspaceId,
  report: ActivityReport,
): Promise<void> {
  const { sourceId = workspaceId } = report
  if (sourceId !== workspaceId) throw new AppError('activity_source_mismatch')
  if (!isStorableJson([report.requestBody, report.responseBody])) {
    throw new AppError('invalid_request_body')
  }
  const appended = await logActivity(deps, {
    ...report,
    id: deps.ids.uuid(),
    workspaceId,
    sourceId,
    createdAt: deps.clock.now(),
  })
  requirePresent(appended)
}

export type Attachment = {
  readonly uri: string
  readonly name: string
  readonly mimeType?: string | undefined
  readonly size?: number | undefined
}

export type AgentMessage = {
  readonly text: string
  readonly attachments: readonly Attachment[]
  /** What the agent calls this message, so that saying it again is recognised. */
  readonly idempotencyKey: string | undefined
}

/**
 * Keeps a message of an agent to its people and tells those who follow. Resolves with whether it was known already. Throws
 * `workspace_not_found`: what could not be kept was not said (wart W32).
 */
export async function notifyPeople(
  deps: ReportActivityDeps,
  workspaceId: WorkspaceId,
  message: AgentMessage,
): Promise<{ readonly isDuplicate: boolean }> {
  const { name } = await getWorkspace(deps.db, workspaceId)
  const text = storableText(message.text)
  const parts = message.attachments.map((file) => ({ kind: 'file', file: storableFile(file) }))
  const appended = await logActivity(deps, {
    id: deps.ids.uuid(),
    workspaceId,
    activityType: 'a2a_receive',
    sourceId: null,
    targetId: workspaceId,
    method: 'notify',
    summary: `Agent message: ${firstCharacters(text, PREVIEW_CHARACTERS)}`,
    requestBody: null,
    responseBody: { result: text, ...(parts.length === 0 ? {} : { parts }) },
    durationMs: null,
    status: 'ok',
    errorDetail: null,
    idempotencyKey:
      message.idempotencyKey === undefined
        ? null
        : `notify:${storableText(message.idempotencyKey)}`,
    createdAt: deps.clock.now(),
  })
  requirePresent(appended)
  if (appended === 'appended') {
    const attachments = parts.length === 0 ? {} : { attachments: parts.map(({ file }) => file) }
    deps.events.broadcast({
      type: 'AGENT_MESSAGE',
      workspaceId,
      payload: { message: text, workspace_id: workspaceId, name, ...attachments },
    })
  }
  return { isDuplicate: appended === 'known' }
}

function storableFile({ uri, name, mimeType, size }: Attachment) {
  return {
    uri: storableText(uri),
    name: storableText(name),
    ...(mimeType === undefined ? {} : { mimeType: storableText(mimeType) }),
    ...(size === undefined ? {} : { size }),
  }
}

function requirePresent(appended: Appended): void {
  if (appended === 'absent') throw new AppError('workspace_not_found')
}
