/** @module Bounded request bodies for the JSON routes; file routes never come here. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Context } from 'hono'

/**
 * The whole body, at most `maxBytes`. Throws `payload_too_large`: a longer one is refused, never
 * cut (wart W30).
 */
export async function readBody(c: Context, maxBytes: number): Promise<Buffer> {
  const declared = Number(c.req.header('content-length') ?? 0)
  if (declared > maxBytes) throw new AppError('payload_too_large')
  const body = c.req.raw.body
  if (body === null) return Buffer.alloc(0)
  const pieces: Uint8Array[] = []
  let total = 0
  for await (const piece of body) {
    total += piece.byteLength
    if (total > maxBytes) throw new AppError('payload_too_large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** The body as JSON. Throws `invalid_request_body`, `payload_too_large`. */
export async function readJson(c: Context, maxBytes: number): Promise<unknown> {
  const body = await readBody(c, maxBytes)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new AppError('invalid_request_body', { cause })
  }
}
