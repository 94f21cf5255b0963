/** @module What a workspace's agent says about itself. */

import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { DELIVERY_ID_EXTENSION } from '@atrium/runtime-contract/delivery-id'
import type { Workspace } from '../find-workspace.ts'

/** The card with which the agent registered; undefined when it has told none. */
export function cardOf(row: Workspace): JsonObject | undefined {
  const card: unknown = row.agentCard
  return isCard(card) ? card : undefined
}

function isCard(card: unknown): card is JsonObject {
  return typeof card === 'object' && card !== null && !Array.isArray(card)
}

/** Whether the agent does a repeated delivery only once (ADR-0032). */
export function knowsDeliveries(row: Workspace): boolean {
  const capabilities = cardOf(row)?.['capabilities']
  return (
    capabilities !== undefined &&
    JSON.stringify(capabilities).includes(`"uri":"${DELIVERY_ID_EXTENSION}"`)
  )
}
