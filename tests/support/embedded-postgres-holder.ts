/**
 * @module A process that holds an embedded database, to be killed: `node <this file> <data folder>`
 * prints `ready` and waits for SIGTERM.
 */
import { once } from 'node:events'
import pino from 'pino'
import { startEmbeddedPostgres } from '../../apps/platform/src/db/embedded-postgres.ts'

const [dataDir] = process.argv.slice(2)
if (dataDir === undefined) throw new Error('usage: embedded-postgres-holder.ts <data folder>')
const keepAlive = setInterval(() => undefined, 60_000)
const server = await startEmbeddedPostgres({ dataDir, log: pino({ level: 'silent' }) })
process.stdout.write('ready\n')
await once(process, 'SIGTERM')
await server.stop()
clearInterval(keepAlive)
