/** @module Thousands of workspaces that beat: their rows, their credentials, their requests. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { credentialId } from '@atrium/http-kit/bearer'
import { Secret } from '@atrium/http-kit/secret'
import type postgres from 'postgres'
import { workspaceIdSchema } from '../../apps/platform/src/domain/ids.ts'
import { keyringOf, sealSecret } from '../../apps/platform/src/domain/secret-envelope.ts'

export type Member = { readonly id: string; readonly token: string; readonly secretId: string }

/** Rows as they are after hours of operation: registered, online, secret delivered and proven. */
export async function seedFleet(
  sql: postgres.Sql,
  size: number,
  encryptionKey: Buffer,
): Promise<Member[]> {
  const keyring = keyringOf(encryptionKey)
  const fleet = Array.from({ length: size }, () => {
    const id = workspaceIdSchema.parse(randomUUID())
    const secret = new Secret(randomBytes(32).toString('base64url'))
    const token = randomBytes(32).toString('base64url')
    const envelope = sealSecret(keyring, { workspaceId: id, purpose: 'inbound-secret' }, secret)
    return { id, token, secretId: credentialId(secret.reveal()), envelope }
  })
  const ids = fleet.map(({ id }) => id)
  await sql`
    INSERT INTO workspaces (id, name, tier, status, runtime_kind, delivery_mode, workspace_access,
      agent_card, inbound_secret_current, inbound_secret_minted_at, inbound_secret_delivered_at,
      inbound_secret_acknowledged_at, created_at, updated_at, status_since)
    SELECT id, 'agent', 3, 'online', 'external', 'poll', 'none',
      jsonb_build_object('name', 'agent', 'description', repeat('x', 600)), envelope, now(), now(),
      now(), now(), now(), now()
    FROM unnest(${ids}::uuid[], ${fleet.map(({ envelope }) => envelope)}::text[]) f (id, envelope)`
  const hashes = fleet.map(({ token }) => createHash('sha256').update(token).digest('hex'))
  await sql`
    INSERT INTO workspace_auth_tokens
      (id, workspace_id, token_hash, prefix, purpose, created_at, last_used_at)
    SELECT gen_random_uuid(), id, decode(hash, 'hex'), 'bench', 'runtime', now(), now()
    FROM unnest(${ids}::uuid[], ${hashes}::text[]) f (id, hash)`
  await sql.unsafe('VACUUM (ANALYZE) workspaces')
  await sql.unsafe('VACUUM (ANALYZE) workspace_auth_tokens')
  return fleet
}

/** The beat of an idle agent, as our runtime sends it, ready for the wire. */
export function beatRequest(member: Member): Buffer {
  const body = JSON.stringify({
    workspace_id: member.id,
    error_rate: 0,
    sample_error: '',
    active_tasks: 0,
    current_task: '',
    uptime_seconds: 3_600,
    runtime_metadata: { capabilities: { heartbeat: true, session: true } },
    inbound_secret_id: member.secretId,
  })
  return Buffer.from(
    `POST /registry/heartbeat HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${member.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
