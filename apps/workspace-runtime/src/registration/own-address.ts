/** @module Which address of this machine its platform sees, where a name would not be believed. */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'

const ANY_PORT = 9

/**
 * The address from which this machine reaches `platformUrl`, by its own routing: a connected UDP
 * socket learns it, and nothing is sent. Rejects when the platform's name cannot be resolved or no
 * route leads to it.
 */
export async function addressTowards(platformUrl: string): Promise<string> {
  const host = new URL(platformUrl).hostname.replace(/^\[|\]$/g, '')
  const target = await lookup(host)
  const socket = createSocket(target.family === 6 ? 'udp6' : 'udp4')
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.once('error', reject)
    socket.connect(ANY_PORT, target.address, resolve)
    await promise
    return socket.address().address
  } finally {
    socket.close()
  }
}
