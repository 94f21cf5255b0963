/** @module What is wrong with a request, and where: the one who can repair it is told the path. */

export type FieldError = {
  /** From the outside in, in the words of the request's dialect: `params.message.parts[0].file.bytes`. */
  readonly field: string
  /** Reads on behind the path: `must be a text`. Holds nothing that was sent. */
  readonly detail: string
}

export type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: FieldError }

export function done<T>(value: T): Step<T> {
  return { ok: true, value }
}

export function refused(field: string, detail: string): { ok: false; error: FieldError } {
  return { ok: false, error: { field, detail } }
}
