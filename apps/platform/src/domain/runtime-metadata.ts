/** @module What a runtime says of itself with its beats (contract/platform 2.2): hostile until read here. */
import type { UploadSweepReport } from '@atrium/runtime-contract/registration'

export type RuntimeMetadata = {
  /** Only those that it has, by name. */
  readonly capabilities: readonly string[]
  readonly idleTimeoutSeconds: number | undefined
  /** Its last sweep of the upload folder; undefined when it says nothing, or nonsense. */
  readonly uploadSweep: UploadSweepReport | undefined
}

const CAPABILITY_NAME = /^[a-z][a-z0-9_]{0,63}$/
const MAX_CAPABILITIES = 64
/** A month: longer than any turn, and far inside every integer type on the way. */
const MAX_IDLE_TIMEOUT_SECONDS = 2_592_000
/** Of a figure of the upload sweep: as PostgreSQL's integers, and 68 years as an age. */
const MAX_FIGURE = 2_147_483_647

/**
 * The known part of a beat's `runtime_metadata`, bounded, whatever it contains besides; undefined
 * when it is absent, which clears what an earlier beat said.
 */
export function parseRuntimeMetadata(received: unknown): RuntimeMetadata | undefined {
  if (typeof received !== 'object' || received === null) return undefined
  const capabilities: unknown = Reflect.get(received, 'capabilities')
  const idle: unknown = Reflect.get(received, 'idle_timeout_seconds')
  return {
    capabilities: namesOf(capabilities),
    idleTimeoutSeconds:
      typeof idle === 'number' && Number.isInteger(idle) && idle > 0
        ? Math.min(idle, MAX_IDLE_TIMEOUT_SECONDS)
        : undefined,
    uploadSweep: uploadSweepOf(Reflect.get(received, 'upload_sweep')),
  }
}

/** All three figures or none: a half of it would be counted as something that was not said. */
function uploadSweepOf(received: unknown): UploadSweepReport | undefined {
  if (typeof received !== 'object' || received === null) return undefined
  const secondsAgo = figureOf(Reflect.get(received, 'seconds_ago'))
  const removed = figureOf(Reflect.get(received, 'removed'))
  const failed = figureOf(Reflect.get(received, 'failed'))
  if (secondsAgo === undefined || removed === undefined || failed === undefined) return undefined
  return { seconds_ago: secondsAgo, removed, failed }
}

function figureOf(received: unknown): number | undefined {
  if (typeof received !== 'number' || !Number.isInteger(received) || received < 0) return undefined
  // The sum makes a zero of what JSON may say as minus zero.
  return Math.min(received + 0, MAX_FIGURE)
}

function namesOf(capabilities: unknown): readonly string[] {
  if (typeof capabilities !== 'object' || capabilities === null) return []
  return Object.entries(capabilities)
    .filter(([name, has]) => has === true && CAPABILITY_NAME.test(name))
    .map(([name]) => name)
    .slice(0, MAX_CAPABILITIES)
}

/** As it is stored: the contract's own shape, so that a person who reads the column knows it. */
export function storedRuntimeMetadata(metadata: RuntimeMetadata): Record<string, unknown> {
  return {
    capabilities: Object.fromEntries(metadata.capabilities.map((name) => [name, true])),
    ...(metadata.idleTimeoutSeconds === undefined
      ? {}
      : { idle_timeout_seconds: metadata.idleTimeoutSeconds }),
    ...(metadata.uploadSweep === undefined ? {} : { upload_sweep: metadata.uploadSweep }),
  }
}
