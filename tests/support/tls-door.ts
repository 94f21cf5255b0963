/** @module A database behind TLS: what decrypts stands in front of a real one, as a managed service's does. */
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

export type TlsDoor = {
  /** The URL of the database, through the door; says nothing of TLS. */
  readonly url: string
  /** How many connections of clients are open. */
  connections(): number
  close(): Promise<void>
}

/** What the door says when it is asked for TLS; `undefined` is silence, and an empty text the end. */
export type TlsReply = string | undefined

/** Self-signed, for `localhost` alone and a hundred years; whom the key protects is on the next lines. */
export const TEST_CERTIFICATE = `\
-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUOwc5khMpiQwyKFvOSfseCtYEgtEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzA5NTMxNloYDzIxMjYxMTAz
MDk1MzE2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASwP9nsEF9X2QWOPf21tqvAysPTjBkXVGprQcxSzWXFJG1lQAtUkhti
4/3fVbSnu7FHS0Br14p6LCKzYXqd46Wno2kwZzAdBgNVHQ4EFgQUEhT1yzr4hsJc
7YMZpdZwQAID00AwHwYDVR0jBBgwFoAUEhT1yzr4hsJc7YMZpdZwQAID00AwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgGeBcFkTNhY9PWp8sfxDJoQrHfyfw0FANzuJxjIdEGxoCIE6SAdlqZ596
8DH0WorzXS9PnyT/3ti2AF1z/IkO+qMs
-----END CERTIFICATE-----
`

const TEST_KEY = `\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghI0n1TNIkLWX7JZz
/fnJZECwUAO5Xwpi7wk1gbRTDAyhRANCAASwP9nsEF9X2QWOPf21tqvAysPTjBkX
VGprQcxSzWXFJG1lQAtUkhti4/3fVbSnu7FHS0Br14p6LCKzYXqd46Wn
-----END PRIVATE KEY-----
`

export async function openTlsDoor(databaseUrl: string, reply: TlsReply = 'S'): Promise<TlsDoor> {
  const target = new URL(databaseUrl)
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client)).on('error', () => undefined)
    client.once('data', (asked) => {
      // A start in the clear is longer than the question.
      if (asked.length > 8) return pass(client, { target, first: asked })
      if (reply === undefined) return
      if (reply === '') return client.end()
      client.write(reply)
      if (reply === 'N') return pass(client, { target })
      pass(new TLSSocket(client, { isServer: true, key: TEST_KEY, cert: TEST_CERTIFICATE }), {
        target,
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  const url = new URL(databaseUrl)
  url.host = `localhost:${address.port}`
  return {
    url: url.href,
    connections: () => clients.size,
    async close() {
      server.close()
      for (const client of clients) client.destroy()
      await once(server, 'close')
    },
  }
}

type Passing = { readonly target: URL; readonly first?: Buffer }

function pass(client: Socket, { target, first }: Passing): void {
  const database = createConnection({ host: target.hostname, port: Number(target.port || 5432) })
  if (first !== undefined) database.write(first)
  for (const [from, to] of [
    [client, database],
    [database, client],
  ] as const) {
    from.on('error', () => from.destroy()).on('close', () => to.destroy())
    from.pipe(to)
  }
}
