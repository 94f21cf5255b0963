/** @module JSON shapes of the lifecycle routes (contract/platform 7.6). */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import type { FailedStart } from '../../services/lifecycle/report-failed-start.ts'
import type { RestartOptions } from '../../services/lifecycle/restart-template.ts'

export const restartBody = z.looseObject({
  template: z.string().nullish(),
  apply_template: z.boolean().nullish(),
  reset: z.boolean().nullish(),
  rebuild_config: z.boolean().nullish(),
})

export const restartedResponse = z.object({
  status: z.literal('provisioning'),
  /** The template whose files were given again, or `existing-volume`. */
  config_dir: z.string(),
  reset_session: z.literal(false),
})
export const pausedResponse = z.object({ status: z.literal('paused'), paused_count: z.int() })
export const resumedResponse = z.object({
  status: z.literal('provisioning'),
  resumed_count: z.int(),
})
export const hibernatedResponse = z.object({ status: z.literal('hibernated') })
export const wokenResponse = z.object({ status: z.enum(['provisioning', 'awake']) })

/**
 * The optional body of a restart. What this platform cannot do is refused, never silently ignored: no
 * back-end keeps the sessions of a command line apart from the rest of the volume.
 */
export function parseRestartBody(body: Uint8Array, resetQuery: string | undefined): RestartOptions {
  const parsed = restartBody.safeParse(body.length === 0 ? {} : parseJson(body))
  if (!parsed.success) throw new AppError('invalid_request_body', { cause: parsed.error })
  const { template, apply_template: apply, reset, rebuild_config: rebuild } = parsed.data
  if (reset === true || resetQuery === 'true') {
    throw new AppError('invalid_request_body', {
      message: 'reset is not supported: no back-end of this platform keeps CLI sessions apart',
    })
  }
  return {
    template: template == null || template === '' ? undefined : template,
    isTemplateWanted: apply === true,
    isRebuildWanted: rebuild === true,
  }
}

/** PostgreSQL stores neither U+0000 nor lone surrogates. */
const storable = (maxLength: number) =>
  z
    .string()
    .nullish()
    .transform((text) => (text ?? '').replaceAll('\0', '').toWellFormed().slice(-maxLength))

/** Contract/platform 7.9: of the log at most the last 8192 characters. */
export const failedStart = z.looseObject({ error: storable(1000), log_tail: storable(8192) })

export const expandedResponse = z.object({
  status: z.literal('expanded'),
  children: z.array(z.object({ id: z.uuid(), name: z.string(), role: z.string().nullable() })),
})
export const collapsedResponse = z.object({
  status: z.literal('collapsed'),
  removed: z.array(z.string()),
})

export const failedStartResponse = z.object({
  ok: z.literal(true),
  no_change: z.literal(true).optional(),
})

export function parseFailedStart(body: unknown): FailedStart {
  const parsed = failedStart.safeParse(body)
  if (!parsed.success) throw new AppError('invalid_request_body', { cause: parsed.error })
  return { error: parsed.data.error, logTail: parsed.data.log_tail }
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new AppError('invalid_request_body', { cause })
  }
}
