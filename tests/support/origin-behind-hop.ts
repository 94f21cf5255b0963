/** @module An origin behind the byte-moving hop, one of each at a time in a file. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { afterEach } from 'vitest'
import type { RuntimeClientOptions } from '../../apps/platform/src/upstream/runtime-client.ts'
import { type ByteHop, startByteHop } from './byte-hop.ts'

export let origin: Server
export let hop: ByteHop

/** Starts both; returns the URL of the origin itself. */
export async function start(
  listener: RequestListener,
  options: Partial<RuntimeClientOptions> = {},
): Promise<URL> {
  origin = createServer({ requestTimeout: 0 }, listener)
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  const address = origin.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  const url = new URL(`http://127.0.0.1:${address.port}`)
  hop = await startByteHop(url, options)
  return url
}

/** Has every test of the calling file end what it started. */
export function closeAfterEachTest(): void {
  afterEach(async () => {
    await hop.close()
    if (!origin.listening) return
    origin.close()
    origin.closeAllConnections()
    await once(origin, 'close')
  })
}

/** In lower-case hex. */
export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
