/**
 * @module Time and identifiers as injected collaborators (H28): nothing below `main.ts` reads the
 * wall clock or the random source by itself, so a test can hold both.
 */
import { randomBytes, randomUUID } from 'node:crypto'

/** 24.8 days. A timer of Node's that is set for longer goes off at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

export type Clock = {
  now(): Date
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export type Ids = {
  /** A fresh UUID v4 in its canonical lower-case form. */
  uuid(): string
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string
  /** A bearer value: 32 random bytes, base64url without padding, 43 characters (contract/platform 3.1). */
  bearerValue(): string
}

export const systemClock: Clock = {
  now: () => new Date(),
  // Node's own makes an error with a stack for every sleep that is ended, and most are.
  sleep(ms, signal) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const giveUp = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }, ms)
    if (signal?.aborted === true) giveUp()
    else signal?.addEventListener('abort', giveUp, { once: true })
    return promise
  },
}

export const systemIds: Ids = {
  uuid: () => randomUUID(),
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  bearerValue: () => randomBytes(32).toString('base64url'),
}
