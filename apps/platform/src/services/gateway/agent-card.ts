/** @module What a workspace's agent says about itself. */

import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { DELIVERY_ID_EXTENSION } from '@atrium/runtime-contract/delivery-id'
import type { Workspace } from '../find-workspace.ts'

/** The card with which the agent registered; undefined when it has told none. */
export function cardOf(row: Pick<Workspace, 'agentCard'>): JsonObject | undefined {
  const card: unknown = row.agentCard
  return isCard(card) ? card : undefined
}

function isCard(card: unknown): card is JsonObject {
  return typeof card === 'object' && card !== null && !Array.isArray(card)
}

/** Whether the agent does a repeated delivery only once (ADR-0032). */
export function knowsDeliveries(row: Workspace): boolean {
  return extensionsOf(row).some(({ uri }) => uri === DELIVERY_ID_EXTENSION)
}

/** The extensions that the agent demands of everybody, and that `named` has not (contract/a2a 1.8). */
export function missingExtensions(row: Workspace, named: string | undefined): string[] {
  const known = new Set((named ?? '').split(',').map((each) => each.trim()))
  return extensionsOf(row).flatMap(({ uri, required }) =>
    required === true && typeof uri === 'string' && !known.has(uri) ? [uri] : [],
  )
}

function extensionsOf(row: Workspace): JsonObject[] {
  const capabilities = cardOf(row)?.['capabilities']
  const extensions = isJsonObject(capabilities) ? capabilities['extensions'] : undefined
  return Array.isArray(extensions)
    ? extensions.flatMap((each: JsonValue) => (isJsonObject(each) ? [each] : []))
    : []
}
