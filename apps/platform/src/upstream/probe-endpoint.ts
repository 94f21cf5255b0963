/** @module Does anything listen there? One kind of evidence that a box is dead, never both. */
import { connect } from 'node:net'
import { hasErrorCode } from '@atrium/http-kit/error-code'

const PROBE_TIMEOUT_MS = 2_000

/** `refused`: the machine says that nobody listens; anything else proves nothing. */
export async function probeEndpoint(url: URL): Promise<'listens' | 'refused' | 'unknown'> {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const { promise, resolve } = Promise.withResolvers<'listens' | 'refused' | 'unknown'>()
  const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port })
  socket.setTimeout(PROBE_TIMEOUT_MS, () => resolve('unknown'))
  socket.once('connect', () => resolve('listens'))
  socket.once('error', (error) => {
    resolve(hasErrorCode(error, 'ECONNREFUSED') ? 'refused' : 'unknown')
  })
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
