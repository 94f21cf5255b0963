/** @module Push notification configurations: nested in 0.3, flat in 1.0 (contract/a2a 1.9). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { type FieldRules, mapped, object, rewrite, without } from './rewrite.ts'

/**
 * 1.0 has one scheme. Of several the first is the one; the others travel beside it under the name
 * they had, so that the way back finds them.
 */
function authenticationToV10(authentication: JsonObject): JsonObject {
  const { schemes, ...rest } = authentication
  if (!Array.isArray(schemes)) return authentication
  const [scheme = '']: readonly JsonValue[] = schemes
  return { scheme, ...(schemes.length > 1 ? { schemes } : {}), ...rest }
}

function authenticationToV03(authentication: JsonObject): JsonObject {
  const { scheme, schemes, ...rest } = authentication
  if (typeof scheme !== 'string') return authentication
  const one = scheme === '' ? [] : [scheme]
  return { schemes: Array.isArray(schemes) ? schemes : one, ...rest }
}

const CONFIG_V10: FieldRules = new Map([mapped('authentication', object(authenticationToV10))])
const CONFIG_V03: FieldRules = new Map([mapped('authentication', object(authenticationToV03))])

/** The configuration within a send request, which names no task, as 1.0 writes it. */
export const pushConfigToV10 = object((config) => rewrite(config, CONFIG_V10))

/** The configuration within a send request as 0.3 writes it. */
export const pushConfigToV03 = object((config) => rewrite(config, CONFIG_V03))

/** `{taskId, pushNotificationConfig: {...}}` of 0.3, or what 1.0 wrote already, as one flat object. */
export function taskPushConfigToV10(value: JsonValue): JsonValue {
  if (!isJsonObject(value)) return value
  const nested = value['pushNotificationConfig']
  if (!isJsonObject(nested)) return pushConfigToV10(value)
  return { ...without(value, 'pushNotificationConfig'), ...rewrite(nested, CONFIG_V10) }
}

// Everything else of the flat object belongs to the configuration.
const OUTER = ['taskId', 'tenant']

/** The flat object of 1.0, or what 0.3 wrote already, with the configuration in its own object. */
export function taskPushConfigToV03(value: JsonValue): JsonValue {
  if (!isJsonObject(value) || isJsonObject(value['pushNotificationConfig'])) return value
  const outer = Object.entries(value).filter(([name]) => OUTER.includes(name))
  return {
    ...Object.fromEntries(outer),
    pushNotificationConfig: rewrite(without(value, ...OUTER), CONFIG_V03),
  }
}
