/** @module Bounded request bodies for the JSON routes; file routes never come here. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Context } from 'hono'

/** File transfers have no total deadline; a JSON body that takes this long is somebody holding on. */
const BODY_DEADLINE_MS = 30_000

/**
 * The whole body, at most `maxBytes`. Throws `payload_too_large` (a longer one is refused, never
 * cut: wart W30) and `request_timeout`.
 */
export async function readBody(c: Context, maxBytes: number): Promise<Buffer> {
  const declared = Number(c.req.header('content-length') ?? 0)
  if (declared > maxBytes) throw new AppError('payload_too_large')
  const reader = c.req.raw.body?.getReader()
  if (reader === undefined) return Buffer.alloc(0)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new AppError('request_timeout')), BODY_DEADLINE_MS)
  const pieces: Uint8Array[] = []
  let total = 0
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise])
      if (done) return Buffer.concat(pieces)
      total += value.byteLength
      if (total > maxBytes) throw new AppError('payload_too_large')
      pieces.push(value)
    }
  } finally {
    clearTimeout(timer)
    reader.releaseLock()
  }
}

/** The body as JSON. Throws `invalid_request_body`, `payload_too_large`. */
export async function readJson(c: Context, maxBytes: number): Promise<unknown> {
  return parseJson(await readBody(c, maxBytes))
}

/** The body as JSON; undefined when there is none. Throws as `readJson` does. */
export async function readOptionalJson(c: Context, maxBytes: number): Promise<unknown> {
  const body = await readBody(c, maxBytes)
  return body.length === 0 ? undefined : parseJson(body)
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new AppError('invalid_request_body', { cause })
  }
}

type Schema<T> = {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error }
}

/** A body that is JSON, by its schema. Throws `invalid_request_body`. */
export function parseBody<T>(schema: Schema<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new AppError('invalid_request_body', { cause: parsed.error })
  return parsed.data
}
