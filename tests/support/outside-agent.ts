/** @module A workspace whose agent is a server of the test, made over HTTP on any platform. */
import { recordSecret } from './secret-ledger.ts'

export type OutsideAgent = { readonly id: string; readonly token: string }

export type OutsideAgentOptions = {
  /** undefined: it fetches its messages. */
  readonly url?: string
  readonly card?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** Creates it and registers its agent; `platformUrl` must let this machine do so. */
export async function registerOutsideAgent(
  platformUrl: string,
  { url, card = { name: 'outside' }, headers = {} }: OutsideAgentOptions,
): Promise<OutsideAgent> {
  const mode = url === undefined ? 'poll' : 'push'
  const created = await json(`${platformUrl}/workspaces`, headers, {
    ...{ name: 'outside', external: true, delivery_mode: mode },
  })
  const { id, connection } = created as { id: string; connection: { auth_token: string } }
  const token = connection.auth_token
  recordSecret(token)
  const own = { authorization: `Bearer ${token}` }
  const body = { id, agent_card: card, delivery_mode: mode, ...(url === undefined ? {} : { url }) }
  const registered = await json(`${platformUrl}/registry/register`, own, body)
  const { platform_inbound_secret: secret } = registered as { platform_inbound_secret?: string }
  if (secret !== undefined) recordSecret(secret)
  return { id, token }
}

async function json(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: object,
): Promise<unknown> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`)
  return JSON.parse(text)
}
