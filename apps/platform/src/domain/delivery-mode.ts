/** @module How messages reach a workspace (contract/platform 2.1 step 4). */
import { DELIVERY_MODES, type DeliveryMode } from '@atrium/runtime-contract/registration'
import { isExternal } from './runtime-kind.ts'

/** The typed mode, or undefined when the text names none. */
export function parseDeliveryMode(text: string): DeliveryMode | undefined {
  return DELIVERY_MODES.find((mode) => mode === text)
}

/** The effective mode: payload, then row, then `poll` for an external runtime, then `push`. */
export function resolveDeliveryMode(input: {
  readonly requested: DeliveryMode | undefined
  readonly stored: DeliveryMode | null
  readonly runtimeKind: string
}): DeliveryMode {
  return input.requested ?? input.stored ?? (isExternal(input.runtimeKind) ? 'poll' : 'push')
}
