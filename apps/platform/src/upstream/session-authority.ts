/** @module Asks the control plane whose session a cookie is (contract/platform 3.7). */
import { Agent, request } from 'undici'
import { z } from 'zod'

const TIMEOUT_MS = 3_000
const MAX_ANSWER_BYTES = 64 * 1024

const memberAnswer = z.looseObject({
  member: z.literal(true),
  // Goes into the audit trail.
  user_id: z
    .string()
    .max(256)
    .regex(/^[\x21-\x7e]+$/),
})

export type SessionAuthorityOptions = {
  /** Without a trailing slash. */
  readonly controlPlaneUrl: string
  readonly orgSlug: string
}

/** A verdict that was given; whatever keeps one from being given is thrown. */
export type SessionVerdict = { readonly userId: string } | 'stranger'

export class SessionAuthority {
  readonly orgSlug: string
  readonly #url: URL
  readonly #agent = new Agent({ connectTimeout: TIMEOUT_MS, connections: 16 })

  constructor({ controlPlaneUrl, orgSlug }: SessionAuthorityOptions) {
    this.orgSlug = orgSlug
    this.#url = new URL(`${controlPlaneUrl}/cp/auth/tenant-member`)
    this.#url.searchParams.set('slug', orgSlug)
  }

  /**
   * Whose session this cookie is. Throws when the control plane cannot be reached, takes longer than
   * 3 s, or answers that it is in trouble itself (429, 5xx). Redirects are not followed: the cookie
   * is for this address.
   */
  async whose(cookie: string): Promise<SessionVerdict> {
    const answer = await request(this.#url, {
      dispatcher: this.#agent,
      headers: { cookie, accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await boundedText(answer.body)
    if (answer.statusCode >= 500 || answer.statusCode === 429) {
      throw new Error(`the control plane answered ${answer.statusCode}`)
    }
    if (answer.statusCode !== 200) return 'stranger'
    const member = memberAnswer.safeParse(parsedJson(text))
    return member.success ? { userId: member.data.user_id } : 'stranger'
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

async function boundedText(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let total = 0
  for await (const piece of body) {
    total += piece.length
    if (total > MAX_ANSWER_BYTES) throw new Error('the answer of the control plane is too long')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not a swallowed failure: what is no JSON names nobody.
    return undefined
  }
}
