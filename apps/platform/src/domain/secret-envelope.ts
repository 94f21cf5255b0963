/**
 * @module Secrets at rest: AES-256-GCM, the owning workspace as associated data, a key id in the
 * envelope so that the key can be rotated (design/architecture 2).
 *
 * Envelope: `v1.<key id>.<base64url of nonce(12) || tag(16) || ciphertext>`.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { sha256 } from '@atrium/http-kit/bearer'
import { Secret } from '@atrium/http-kit/secret'
import type { WorkspaceId } from './ids.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
export const ENCRYPTION_KEY_BYTES = 32

/**
 * The key that encrypts, and every key that may still be needed to decrypt, by its id. Key objects:
 * they print nothing, and raw bytes would be made into one for each secret (15 us against 3).
 */
export type Keyring = {
  readonly currentKeyId: string
  readonly keys: ReadonlyMap<string, KeyObject>
}

/**
 * A keyring that seals with `encryptionKey` and opens what any of `previous` has sealed; 32 bytes
 * each. Ids are derived from the keys, so the same key has the same id everywhere.
 */
export function keyringOf(encryptionKey: Buffer, previous: readonly Buffer[] = []): Keyring {
  const keys = [encryptionKey, ...previous]
  if (keys.some((key) => key.length !== ENCRYPTION_KEY_BYTES)) {
    throw new Error(`an encryption key has ${ENCRYPTION_KEY_BYTES} bytes`)
  }
  return {
    currentKeyId: idOf(encryptionKey),
    keys: new Map(keys.map((key) => [idOf(key), createSecretKey(key)])),
  }
}

function idOf(encryptionKey: Buffer): string {
  return sha256(`atrium:encryption-key-id:${encryptionKey.toString('hex')}`)
    .toString('hex')
    .slice(0, 8)
}

/** What a secret is for; part of the associated data, so that envelopes cannot be swapped. */
export type SecretPurpose = 'inbound-secret' | 'push-config' | 'job-control' | `env:${string}`

type Owner = { readonly workspaceId: WorkspaceId; readonly purpose: SecretPurpose }

function associatedData(owner: Owner): Buffer {
  return Buffer.from(`atrium:${owner.purpose}:${owner.workspaceId}`, 'utf8')
}

/** Encrypts a secret for its owner under the current key. */
export function sealSecret(keyring: Keyring, owner: Owner, secret: Secret): string {
  const key = keyring.keys.get(keyring.currentKeyId)
  if (key === undefined) throw new Error('the keyring has no current key')
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData(owner))
  const body = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()])
  const packed = Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')
  return `v1.${keyring.currentKeyId}.${packed}`
}

/** Decrypts an envelope of this owner. Throws when it is malformed, foreign, or its key is gone. */
export function openSecret(keyring: Keyring, owner: Owner, envelope: string): Secret {
  const [version, keyId, packed] = envelope.split('.')
  if (version !== 'v1' || keyId === undefined || packed === undefined) {
    throw new Error('malformed secret envelope')
  }
  const key = keyring.keys.get(keyId)
  if (key === undefined) throw new Error(`no encryption key with id ${keyId}`)
  const bytes = Buffer.from(packed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(associatedData(owner))
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  const body = bytes.subarray(NONCE_BYTES + TAG_BYTES)
  return new Secret(Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8'))
}
