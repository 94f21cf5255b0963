/** @module A value that must not be printed by accident (H27). */
import { inspect } from 'node:util'

const REDACTED = '[secret]'

/** Wraps a credential: string conversion, JSON and `util.inspect` all print `[secret]`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The plain value; call it only where the value is used, never to pass it along. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
