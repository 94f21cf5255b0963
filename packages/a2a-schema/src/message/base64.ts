/** @module Base64 in the spellings that senders use (contract/a2a 2.4). */

// One class and no group that repeats: on megabytes a group overflows the engine's stack.
const NOT_BASE64 = /[^A-Za-z0-9+/_-]/
const URL_ALPHABET = /[-_]/

function paddingOf(text: string): string {
  if (text.endsWith('==')) return '=='
  return text.endsWith('=') ? '=' : ''
}

/**
 * The text in the standard alphabet with its padding; the same text when it is that already.
 * Undefined when it is not base64 in either alphabet.
 */
export function toStandardBase64(text: string): string | undefined {
  const padding = paddingOf(text)
  const digits = text.slice(0, text.length - padding.length)
  if (digits.length % 4 === 1 || NOT_BASE64.test(digits)) return undefined
  const needed = '='.repeat((4 - (digits.length % 4)) % 4)
  if (padding !== '' && padding !== needed) return undefined
  if (!URL_ALPHABET.test(digits)) return padding === needed ? text : digits + needed
  return digits.replaceAll('-', '+').replaceAll('_', '/') + needed
}
