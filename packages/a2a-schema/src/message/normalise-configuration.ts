/** @module How the sender wants its answer, in the words of its dialect (contract/a2a 2.3, end). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { CONFIGURATION_NAMES } from './field-names.ts'
import { renameFields, withoutFields } from './merge-fields.ts'
import type { MessageDialect, Pass } from './pass.ts'

const AT = 'params.configuration'

/** 1.0 turned the question round. */
const WAITING = {
  '0.3': { name: 'blocking', opposite: 'returnImmediately' },
  '1.0': { name: 'returnImmediately', opposite: 'blocking' },
} as const satisfies Readonly<Record<MessageDialect, object>>

const PUSH_CONFIG = {
  '0.3': 'pushNotificationConfig',
  '1.0': 'taskPushNotificationConfig',
} as const satisfies Readonly<Record<MessageDialect, string>>

/** The configuration as its dialect wants it; the same object when it is so. Never throws. */
export function normaliseConfiguration(configuration: JsonObject, pass: Pass): Step<JsonObject> {
  const renamed = renameFields(configuration, CONFIGURATION_NAMES[pass.dialect], AT)
  if (!renamed.ok) return renamed
  const waiting = withWaiting(renamed.value, pass.dialect)
  if (!waiting.ok) return waiting
  const name = PUSH_CONFIG[pass.dialect]
  const given = waiting.value[name]
  const push = pushConfigFor(given, pass.dialect)
  const result =
    push === given || push === undefined ? waiting.value : { ...waiting.value, [name]: push }
  if (result !== configuration) pass.notes.add('configuration')
  return done(result)
}

function withWaiting(configuration: JsonObject, dialect: MessageDialect): Step<JsonObject> {
  const { name, opposite } = WAITING[dialect]
  const turned = configuration[opposite]
  if (turned === undefined) return done(configuration)
  const rest = withoutFields(configuration, (key) => key === opposite)
  if (turned === null) return done(rest)
  if (typeof turned !== 'boolean') return refused(`${AT}.${opposite}`, 'must be true or false')
  const own = configuration[name] ?? null
  if (own !== null && own === turned) return refused(`${AT}.${name}`, `contradicts ${opposite}`)
  return done({ ...rest, [name]: own ?? !turned })
}

/** 0.3 lists the schemes of a webhook, 1.0 names one (contract/a2a 1.9). */
function pushConfigFor(
  config: JsonValue | undefined,
  dialect: MessageDialect,
): JsonValue | undefined {
  if (!isJsonObject(config)) return config
  const { authentication } = config
  if (!isJsonObject(authentication)) return config
  const { scheme, schemes, ...rest } = authentication
  if (dialect === '0.3' && schemes === undefined && typeof scheme === 'string') {
    return { ...config, authentication: { schemes: [scheme], ...rest } }
  }
  const first = Array.isArray(schemes) ? schemes[0] : undefined
  if (dialect === '1.0' && scheme === undefined && typeof first === 'string') {
    return { ...config, authentication: { scheme: first, ...rest } }
  }
  return config
}
