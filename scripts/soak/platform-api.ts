/** @module The platform's API as the soak uses it: what happened is known, or known to be unknown. */
import { setTimeout as delay } from 'node:timers/promises'

const TIMEOUT_MS = 60_000

/** `done` and `refused` are certain; `unknown`: the connection ended before the answer. */
export type Outcome =
  | { readonly kind: 'done'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string }
  | { readonly kind: 'unknown' }

export type Action = 'pause' | 'resume' | 'restart' | 'hibernate' | 'wake'

export class PlatformApi {
  readonly url: string
  /** With every request: who asks, and of which organisation. */
  readonly headers: Readonly<Record<string, string>>

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.url = url
    this.headers = headers
  }

  create(name: string): Promise<Outcome> {
    return this.call('POST', '/workspaces', { name, runtime: 'echo' })
  }

  remove(id: string): Promise<Outcome> {
    return this.call('DELETE', `/workspaces/${id}?confirm=true`)
  }

  act(id: string, action: Action): Promise<Outcome> {
    return this.call('POST', `/workspaces/${id}/${action}`, {})
  }

  async call(method: string, path: string, body?: unknown): Promise<Outcome> {
    try {
      const answer = await fetch(`${this.url}${path}`, {
        method,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          ...this.headers,
          'content-type': 'application/json',
          // One connection for each: the front door chooses anew, and nothing waits behind a dead one.
          connection: 'close',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text: unknown = JSON.parse(await answer.text())
      if (answer.ok) return { kind: 'done', body: text }
      return { kind: 'refused', status: answer.status, code: codeOf(text) }
    } catch {
      // Killed in the middle: whether it was done, only the database knows.
      return { kind: 'unknown' }
    }
  }

  /** Creates until it is certain; a creation whose answer was lost stays without a name here. */
  async createSurely(name: string): Promise<string> {
    for (;;) {
      const outcome = await this.create(name)
      if (outcome.kind === 'done') return idOf(outcome.body)
      await delay(250)
    }
  }
}

export function idOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'id' in body) return String(body.id)
  throw new Error('a creation was answered without an id')
}

function codeOf(body: unknown): string {
  return typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : 'none'
}
