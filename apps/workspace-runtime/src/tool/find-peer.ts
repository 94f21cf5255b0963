/** @module Whom a name means: the platform tells each workspace its own neighbours only. */
import { z } from 'zod'
import type { PlatformApi } from './platform-api.ts'
import { refusalOf } from './refusal.ts'
import { EXIT, ToolFailure } from './tool-failure.ts'

const peers = z.array(
  z.looseObject({
    id: z.string(),
    name: z.string(),
    role: z.string().nullish(),
    status: z.string(),
  }),
)
export type Peer = z.infer<typeof peers>[number]

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export async function listPeers(
  api: PlatformApi,
  workspaceId: string,
  query: string | undefined,
): Promise<readonly Peer[]> {
  const search = query === undefined ? '' : `?${new URLSearchParams({ q: query })}`
  const path = `/registry/${encodeURIComponent(workspaceId)}/peers${search}`
  const reply = await api.call({ method: 'GET', path, isRepeatable: true })
  const parsed = peers.safeParse(reply.body)
  if (reply.status !== 200 || !parsed.success) throw refusalOf(reply)
  return parsed.data
}

/** The id of a peer by its id or its name. Throws `ToolFailure` when there is not exactly one. */
export async function findPeer(
  api: PlatformApi,
  workspaceId: string,
  nameOrId: string,
): Promise<string> {
  if (UUID.test(nameOrId)) return nameOrId
  const named = (await listPeers(api, workspaceId, undefined)).filter(
    ({ name }) => name === nameOrId,
  )
  const [peer, other] = named
  if (peer === undefined) throw new ToolFailure(EXIT.notFound, `no peer is called "${nameOrId}"`)
  if (other !== undefined) {
    const ids = named.map(({ id }) => id).join(', ')
    throw new ToolFailure(EXIT.notFound, `several peers are called "${nameOrId}": ${ids}`)
  }
  return peer.id
}
