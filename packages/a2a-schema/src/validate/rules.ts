/**
 * @module What the validators of both dialects are made of. Loose: a member that nobody named stays.
 * Null is absent, as in ProtoJSON. A list is checked by one rule that stops at its first fault: a
 * list of a million wrong ones must not become a million findings.
 */
import { z } from 'zod'
import type { FieldError } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue, wholeNumberOf } from '../lossless-json.ts'

type Wording = { error: (issue: { readonly input?: unknown }) => string }

function says(detail: string): Wording {
  return { error: ({ input }) => (input === undefined ? 'is missing' : detail) }
}

function rule(is: (value: JsonValue) => boolean, detail: string) {
  return z.custom<unknown>((value) => value !== undefined && is(asJson(value)), says(detail))
}

/** What is checked here came out of `parseLossless`, and zod forgets that. */
function asJson(value: unknown): JsonValue {
  // biome-ignore lint/nursery/noUnsafeTypeAssertion: params are JsonValue, see validateParams
  return value as JsonValue
}

export const text = z.string(says('must be a text'))
export const someText = text.min(1, 'must not be empty')
export const flag = z.boolean(says('must be true or false'))
export const texts = rule(
  (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  'must be a list of texts',
)
export const anyObject = rule((value) => isJsonObject(value), 'must be an object')
/** An object with at least these members. A number that is kept as text is an object to zod alone. */
export function objectOf<Shape extends z.ZodRawShape>(shape: Shape) {
  return anyObject.pipe(z.looseObject(shape))
}

export const count = rule((value) => wholeNumberOf(value) >= 0, 'must be a whole number')

export function oneOf(...allowed: readonly string[]) {
  return rule(
    (value) => typeof value === 'string' && allowed.includes(value),
    `must be ${allowed.join(' or ')}`,
  )
}

export function countWithin(least: number, most: number) {
  return rule((value) => {
    const given = wholeNumberOf(value)
    return given >= least && given <= most
  }, `must be a whole number from ${least} to ${most}`)
}

export type PartFault = (
  part: JsonValue,
) => { readonly at: string; readonly detail: string } | undefined

/** Of a part and of a file: `names` are texts where they are there; `at` is where they stand. */
export function faultOfTexts(
  holder: JsonObject,
  names: readonly string[],
  at = '',
): ReturnType<PartFault> {
  const name = names.find(
    (one) => (holder[one] ?? null) !== null && typeof holder[one] !== 'string',
  )
  return name === undefined ? undefined : { at: at + name, detail: 'must be a text' }
}

export function faultOfMetadata({ metadata = null }: JsonObject): ReturnType<PartFault> {
  if (metadata === null || isJsonObject(metadata)) return undefined
  return { at: 'metadata', detail: 'must be an object' }
}

/** The parts of a message; `faultOf` knows one part of its dialect. */
export function partsOf(faultOf: PartFault) {
  return z
    .custom<readonly JsonValue[]>(
      (value) => Array.isArray(value) && value.length > 0,
      says('must be a list with at least one part'),
    )
    .superRefine((parts, context) => {
      for (const [index, part] of parts.entries()) {
        const fault = faultOf(part)
        if (fault === undefined) continue
        const path = fault.at === '' ? [index] : [index, ...fault.at.split('.')]
        context.addIssue({ code: 'custom', path, message: fault.detail })
        return
      }
    })
}

export const metadata = anyObject.nullish()

/** What both dialects have in a message, beside its role and its parts. */
export const MESSAGE = {
  messageId: someText,
  contextId: text.nullish(),
  taskId: text.nullish(),
  referenceTaskIds: texts.nullish(),
  extensions: texts.nullish(),
  metadata,
}

export const CONFIGURATION = {
  acceptedOutputModes: texts.nullish(),
  historyLength: count.nullish(),
}

/** Of a webhook. */
export const PUSH_CONFIG = { id: text.nullish(), url: someText, token: text.nullish() }

/** The first fault that a schema finds in `params`. Never throws. */
export function firstFault(schema: z.ZodType, params: JsonValue): FieldError | undefined {
  const result = schema.safeParse(params)
  if (result.success) return undefined
  const [issue] = result.error.issues
  if (issue === undefined) return { field: 'params', detail: 'is invalid' }
  return { field: pathText(issue.path), detail: issue.message }
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}.${String(step)}`),
    'params',
  )
}
