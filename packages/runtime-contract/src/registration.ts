/** @module The wire shapes of register and heartbeat (contract/platform 2.1, 2.2; contract/runtime 7). */
import { z } from 'zod'

export const DELIVERY_MODES = ['push', 'poll'] as const
export type DeliveryMode = (typeof DELIVERY_MODES)[number]

export const HEARTBEAT_INTERVAL_MS = 30_000

/** How long a runtime accepts the inbound secret it held before, unless its environment says. */
export const DEFAULT_INBOUND_SECRET_GRACE_MS = 15 * 60_000

/** PostgreSQL stores neither U+0000 nor lone surrogates; a report is not refused because of them. */
const storableText = z.string().transform((text) => text.replaceAll('\u0000', '').toWellFormed())

/** A member that may be absent; `null` says the same, as it does in the platform of the contract. */
function absentAs<T extends z.ZodType, D>(schema: T, fallback: D) {
  return schema.nullish().transform((value) => value ?? fallback)
}

/** Ours: which start of the workspace speaks; absent in runtimes that were not told. */
const generation = absentAs(z.int().min(0).max(2_147_483_647), undefined)

/** Whether PostgreSQL stores a whole document as it is: it is refused or left out, never changed. */
export function isStorableJson(value: unknown): boolean {
  try {
    const text = JSON.stringify(value)
    return !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/i.test(text)
  } catch (error) {
    // Nested deeper than it can be written, though it could be read.
    if (error instanceof RangeError) return false
    throw error
  }
}

/** POST /registry/register. `delivery_mode` stays a string here: its own error text comes later. */
export const registerRequest = z.object({
  id: z.string().min(1),
  agent_card: z
    .json()
    .refine((card) => card !== null, 'agent_card is required')
    .refine(isStorableJson, 'agent_card contains characters that cannot be stored'),
  url: absentAs(z.string(), undefined),
  delivery_mode: absentAs(z.string(), undefined),
  generation,
  /** Ours: as with a heartbeat. */
  inbound_secret_id: absentAs(z.string(), undefined),
})
/** As a runtime sends it. */
export type RegisterRequest = z.input<typeof registerRequest>
/** As the platform reads it. */
export type ReceivedRegistration = z.output<typeof registerRequest>

export const registerResponse = z.looseObject({
  status: z.literal('registered'),
  delivery_mode: z.enum(DELIVERY_MODES).optional(),
  auth_token: z.string().min(1).optional(),
  platform_inbound_secret: z.string().min(1).optional(),
})
export type RegisterResponse = z.infer<typeof registerResponse>

/** Ours, in `runtime_metadata.upload_sweep`: the last look for what killed uploads left behind. */
export type UploadSweepReport = {
  /** Since that pass ended; an age, because the two clocks need not agree. */
  readonly seconds_ago: number
  readonly removed: number
  /** Leftovers that could not be removed, and 1 for a pass that could not look. */
  readonly failed: number
}

/** POST /registry/heartbeat. Everything but the id may be absent: older runtimes send less. */
export const heartbeatRequest = z.object({
  workspace_id: z.string().min(1),
  error_rate: absentAs(z.number(), 0),
  sample_error: absentAs(storableText, ''),
  active_tasks: absentAs(z.int(), 0),
  uptime_seconds: absentAs(z.int(), 0),
  current_task: absentAs(storableText, ''),
  monthly_spend: absentAs(z.number(), 0),
  runtime_state: absentAs(z.string(), ''),
  runtime_metadata: absentAs(z.looseObject({}), undefined),
  /** Ours: which inbound secret the workspace holds (`credentialId`); absent in older runtimes. */
  inbound_secret_id: absentAs(z.string(), undefined),
  generation,
})
export type HeartbeatRequest = z.input<typeof heartbeatRequest>

export const heartbeatResponse = z.looseObject({
  status: z.literal('ok'),
  /** Present unless the beat proved that the workspace holds the current one. */
  platform_inbound_secret: z.string().min(1).optional(),
})
export type HeartbeatResponse = z.infer<typeof heartbeatResponse>
