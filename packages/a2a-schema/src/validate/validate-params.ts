/** @module Whether the receiver of a request can read its parameters: better refused here than lost there. */
import type { FieldError } from '../field-error.ts'
import { isJsonObject, type JsonValue } from '../lossless-json.ts'
import type { Operation, SpokenDialect } from '../method.ts'
import { firstFault } from './rules.ts'
import { V03_PARAMS } from './v03.ts'
import { V10_PARAMS } from './v10.ts'

/**
 * The first fault of the parameters, or undefined. They are in the canonical shape of the dialect,
 * which is what `normaliseRequest` makes; 0.1 is normalised to 0.3. Never throws, changes nothing.
 */
export function validateParams(
  operation: Operation,
  dialect: SpokenDialect,
  params: JsonValue | undefined,
): FieldError | undefined {
  if (params === undefined && operation === 'extended_card') return undefined
  if (!isJsonObject(params)) return { field: 'params', detail: 'must be an object' }
  // What the conformance kits send to see whether anybody looks (contract/a2a 2.2).
  if (Object.hasOwn(params, '')) return { field: 'params', detail: 'has a member without a name' }
  const schemas = dialect === '1.0' ? V10_PARAMS : V03_PARAMS
  return firstFault(schemas[operation], params)
}
