/**
 * @module Fields of a job-control host and of its reader, which are sent by programs of others
 * (contract/runtime 20.4): "Integer fields accept bool, number, numeric string; strings strict;
 * booleans coerced."
 */
import { z } from 'zod'

export const lenientInteger = z
  .union([z.boolean(), z.number(), z.string().regex(/^\s*[+-]?\d{1,16}\s*$/)])
  .transform((value) => Math.trunc(Number(value)))
  .pipe(z.int())

/** Of a size or a place in something. */
export const lenientCount = lenientInteger.pipe(z.int().min(0))

/** What the other side's language takes for true: empty lists and objects are not. */
export const lenientBoolean = z
  .unknown()
  .transform((value) =>
    typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value),
  )
