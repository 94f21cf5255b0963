/**
 * @module One platform per data folder. A second one would take the first one's workspaces for
 * leftovers of a crash and end them.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { hasErrorCode } from '@atrium/http-kit/error-code'

export type BaseDirLock = { release(): Promise<void> }

/**
 * Takes the folder for this process. The lock is a name in the kernel's abstract socket namespace
 * (unix(7)), not a file: it ends with its holder, however that one dies. Throws when it is taken.
 */
export async function lockBaseDir(baseDir: string): Promise<BaseDirLock> {
  const name = createHash('sha256').update(baseDir).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (error) => {
    const isTaken = hasErrorCode(error, 'EADDRINUSE')
    reject(isTaken ? new Error(`another platform uses ${baseDir}`) : error)
  })
  server.listen({ path: `\0atrium-boxes-${name}` }, resolve)
  await promise
  server.unref()
  return {
    release: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      await closed.promise
    },
  }
}
