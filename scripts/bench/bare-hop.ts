/**
 * @module The gateway without its database: the same HTTP stack, the same parsing and the same client
 * to the agent, and nothing is asked or written down. `node bare-hop.ts <agent URL> <state file>`.
 */
import { writeFileSync } from 'node:fs'
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { answerWithId, readRpcAnswer } from '@atrium/a2a-schema/rpc-answer'
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { type BaseEnv, requestContext } from '@atrium/hono-kit/request-context'
import { listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Hono } from 'hono'
import pino from 'pino'
import { readBody } from '../../apps/platform/src/http/read-json.ts'
import { piecesOf, writeAnswer } from '../../apps/platform/src/http/write-answer.ts'
import { AgentClient } from '../../apps/platform/src/upstream/agent-client.ts'

const MIB = 1024 ** 2
const TIMEOUT_MS = 10_000

async function serve(agentUrl: string, stateFile: string): Promise<void> {
  const client = new AgentClient({
    ...{ connectTimeoutMs: TIMEOUT_MS, headersTimeoutMs: TIMEOUT_MS, idleTimeoutMs: TIMEOUT_MS },
    policy: { allowLoopback: true, allowPrivate: false },
  })
  const log = pino({ level: 'warn' }, pino.destination({ fd: 1, sync: true }))
  const app = new Hono<BaseEnv>()
  app.use(requestContext({ log, clock: systemClock, ids: systemIds }))
  app.post('/', async (c) => {
    const body = await readBody(c, MIB)
    const parsed = parseRpcRequest(body, systemIds)
    if (!parsed.ok || !normaliseRequest(parsed.request, systemIds).ok) return c.text('no', 400)
    const { id } = parsed.request
    return await rawExchange(c, async (exchange) => {
      const response = await client.post({
        endpoint: { url: new URL(agentUrl), isTrusted: true },
        body,
        headers: { 'content-type': 'application/json' },
        signal: exchange.signal,
      })
      const pieces: Buffer[] = []
      for await (const piece of response.body) pieces.push(piece)
      const said = readRpcAnswer(Buffer.concat(pieces))
      const answer = said === undefined ? Buffer.alloc(0) : answerWithId(said, id)
      const head = { 'Content-Type': 'application/json', 'Content-Length': answer.length }
      exchange.outgoing.writeHead(response.status, head)
      await writeAnswer(exchange, piecesOf(answer), TIMEOUT_MS)
    })
  })
  const server = await listen(app, { host: '127.0.0.1', port: 0 })
  writeFileSync(stateFile, JSON.stringify({ url: `http://127.0.0.1:${server.port}` }))
  process.once('SIGTERM', () => {
    void server.close(0).then(() => client.close())
  })
}

const [agentUrl = '', stateFile = ''] = process.argv.slice(2)
await serve(agentUrl, stateFile)
