/** @module Query values with their encoding checked: a path that cannot be decoded is not guessed. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Context } from 'hono'
import type { BaseEnv } from './request-context.ts'

/**
 * Every value of a query key, decoded exactly once from the request target as it arrived. Throws
 * `invalid_path` for bytes or percent-escapes that are not UTF-8: `URLSearchParams` would replace
 * them and so ask for a different file.
 */
export function rawQueryValues<E extends BaseEnv>(c: Context<E>, key: string): string[] {
  const target = c.env.incoming?.url ?? c.req.url
  const start = target.indexOf('?')
  if (start < 0) return []
  const query = target.slice(start + 1).split('#', 1)[0] ?? ''
  return query
    .split('&')
    .map(splitOnce)
    .filter(([name]) => decode(name) === key)
    .map(([, value]) => decode(value))
}

/** The same of a parameter that is no path. Throws `invalid_query` in place of `invalid_path`. */
export function rawParameterValues<E extends BaseEnv>(c: Context<E>, key: string): string[] {
  try {
    return rawQueryValues(c, key)
  } catch (cause) {
    throw new AppError('invalid_query', { message: `${key} cannot be decoded`, cause })
  }
}

function splitOnce(pair: string): [string, string] {
  const equals = pair.indexOf('=')
  return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Node hands raw bytes above 0x7F over as Latin-1; clients such as curl send UTF-8 unescaped. */
function decode(text: string): string {
  try {
    const utf8 = UTF8.decode(Buffer.from(text.replaceAll('+', ' '), 'latin1'))
    return decodeURIComponent(utf8)
  } catch (cause) {
    throw new AppError('invalid_path', { cause })
  }
}
