/** @module Bounded request bodies for the JSON routes; file routes never come here. */
import type { BaseEnv } from '@atrium/hono-kit/request-context'
import { AppError } from '@atrium/http-kit/app-error'
import type { Context } from 'hono'

/** File transfers have no total deadline; a JSON body that takes this long is somebody holding on. */
const BODY_DEADLINE_MS = 30_000

/**
 * The whole body, at most `maxBytes`. Throws `payload_too_large` (a longer one is refused, never
 * cut: wart W30) and `request_timeout`. Read from Node's own stream: with a web stream
 * around it a small request takes half as much processor time again (docs/performance.md).
 */
export async function readBody<E extends BaseEnv>(
  c: Context<E>,
  maxBytes: number,
): Promise<Buffer> {
  const declared = Number(c.req.header('content-length') ?? 0)
  if (declared > maxBytes) throw new AppError('payload_too_large')
  const { incoming } = c.env
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const pieces: Buffer[] = []
  let total = 0
  const onData = (piece: Buffer): void => {
    total += piece.length
    if (total > maxBytes) reject(new AppError('payload_too_large'))
    else pieces.push(piece)
  }
  const onEnd = (): void => resolve(Buffer.concat(pieces))
  // Nobody is there to read the answer; only the log sees it. Every connection that is done closes too.
  const onClose = (): void => {
    if (incoming.readableEnded) return
    reject(new AppError('invalid_request_body', { internal: 'cut off' }))
  }
  const timer = setTimeout(() => reject(new AppError('request_timeout')), BODY_DEADLINE_MS)
  incoming.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose)
  if (incoming.readableEnded) onEnd()
  else if (incoming.destroyed) onClose()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    incoming.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose)
    // What is left of a body that was refused is read and dropped after the answer, or not at all.
    if (!incoming.readableEnded) incoming.pause()
  }
}

/** The body as JSON. Throws `invalid_request_body`, `payload_too_large`. */
export async function readJson<E extends BaseEnv>(
  c: Context<E>,
  maxBytes: number,
): Promise<unknown> {
  return parseJson(await readBody(c, maxBytes))
}

/** The body as JSON; undefined when there is none. Throws as `readJson` does. */
export async function readOptionalJson<E extends BaseEnv>(
  c: Context<E>,
  maxBytes: number,
): Promise<unknown> {
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
