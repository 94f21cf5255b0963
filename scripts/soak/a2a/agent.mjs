// An agent of the message soak: it notes what it carries out before it does, and dies as its kind
// does. Plain JavaScript without dependencies, for there are many of them.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const { env } = process
const headers = {
  authorization: `Bearer ${env.ATRIUM_AUTH_TOKEN}`,
  'content-type': 'application/json',
  'x-molecule-org-id': env.SOAK_ORG_ID,
}
const id = env.WORKSPACE_ID
const generation = Number(env.ATRIUM_GENERATION)
const folder = join(env.SOAK_FOLDER, id)
const RETRY_MS = 500
const TIMEOUT_MS = 15_000
/** A busy one takes so many at once, and refuses the next. */
const ROOM = 2

// Whoever started it holds the other end: nothing is left behind when that one is killed.
process.stdin.resume().on('end', () => process.exit(0))
mkdirSync(folder, { recursive: true })
const kind = await kindOf()
let active = 0

const server = createServer(async (incoming, response) => {
  const pieces = []
  for await (const piece of incoming) pieces.push(piece)
  const text = Buffer.concat(pieces).toString('utf8')
  response.setHeader('content-type', 'application/json')
  if (incoming.method !== 'POST') {
    response.end(JSON.stringify({ workspace_id: id, generation }))
    return
  }
  const call = JSON.parse(text)
  if (kind === 'busy' && active >= ROOM) {
    const refusal = { error: 'the agent is busy', code: 'agent_busy', hop: 'runtime' }
    response
      .writeHead(503, { 'retry-after': '1' })
      .end(JSON.stringify({ ...refusal, retryable: true }))
    return
  }
  active += 1
  const deliveryId = incoming.headers['x-atrium-delivery-id'] ?? ''
  const result = await carryOut(call.params.message.messageId, deliveryId)
  active -= 1
  response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, result }))
})

server.listen(0, env.SOAK_ADDRESS, () => void live())

/** Which one it is stands in a file that the soak writes when the workspace has been made. */
async function kindOf() {
  const file = join(folder, 'kind')
  while (!existsSync(file)) await delay(50)
  return readFileSync(file, 'utf8')
}

/** Once for each delivery where the agent is one that knows deliveries again. */
async function carryOut(messageId, deliveryId) {
  const kept = join(folder, `done-${deliveryId}`)
  if (kind === 'idempotent') {
    if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8'))
    if (wasBegun(messageId)) return keep(kept, answerTo(messageId, 'was cut off at'))
  }
  if (kind === 'crashing' && Math.random() < 0.02) process.exit(1)
  appendFileSync(join(folder, 'begun'), `${messageId}\n`)
  if (kind === 'crashing' && Math.random() < 0.02) process.exit(1)
  await delay(5 + Math.random() * (kind === 'busy' ? 300 : 60))
  const result = answerTo(messageId, 'did')
  return kind === 'idempotent' ? keep(kept, result) : result
}

function wasBegun(messageId) {
  const file = join(folder, 'begun')
  return existsSync(file) && readFileSync(file, 'utf8').split('\n').includes(messageId)
}

function keep(file, result) {
  writeFileSync(`${file}.new`, JSON.stringify(result))
  renameSync(`${file}.new`, file)
  return result
}

function answerTo(messageId, what) {
  const parts = [{ kind: 'text', text: `${what} ${messageId}` }]
  return { kind: 'message', messageId: `answer-${messageId}`, role: 'agent', parts }
}

async function live() {
  const url = `http://${env.SOAK_ADDRESS}:${server.address().port}`
  const extensions = kind === 'idempotent' ? [{ uri: 'urn:atrium:a2a:delivery-id:v1' }] : []
  const card = { name: 'soak', url, capabilities: { extensions } }
  const mode = kind === 'poll' ? { delivery_mode: 'poll' } : { delivery_mode: 'push', url }
  const body = { id, agent_card: card, generation, ...mode }
  if (kind === 'poll') void fetchMessages()
  for (;;) {
    if ((await call('POST', '/registry/register', body)).status === 200) await beat()
    await delay(RETRY_MS)
  }
}

/** Until the platform does not know it any more. */
async function beat() {
  for (;;) {
    await delay(Number(env.SOAK_BEAT_MS))
    const beaten = { workspace_id: id, generation, active_tasks: active }
    const { status } = await call('POST', '/registry/heartbeat', beaten)
    if (status === 401 || status === 404) return
  }
}

/** Carries out each message that it has not answered yet, whatever it was told of it before. */
async function fetchMessages() {
  const cursor = join(folder, 'cursor')
  for (;;) {
    const rows = await rowsAfter(existsSync(cursor) ? readFileSync(cursor, 'utf8') : '')
    for (const row of rows) {
      await answerRow(row)
      writeFileSync(`${cursor}.new`, row.id)
      renameSync(`${cursor}.new`, cursor)
    }
  }
}

async function rowsAfter(since) {
  const after = since === '' ? '' : `&since_id=${since}`
  const path = `/workspaces/${id}/activity?type=a2a_receive&wait=5&limit=500${after}`
  const { status, body } = await call('GET', path)
  if (status !== 200) await delay(RETRY_MS)
  const rows = Array.isArray(body) ? body : []
  if (rows.length === 0) await delay(50)
  // Without a cursor the newest comes first (contract/platform 5.1).
  return since === '' ? rows.reverse() : rows
}

async function answerRow(row) {
  const messageId = row.request_body?.params?.message?.messageId
  const queueId = row.queue_id
  if (typeof messageId !== 'string' || typeof queueId !== 'string') return
  // Noted by its place in the queue: a message that is in there twice would be carried out twice.
  const kept = join(folder, `done-${queueId}`)
  if (!existsSync(kept)) {
    appendFileSync(join(folder, 'begun'), `${messageId}\n`)
    keep(kept, answerTo(messageId, 'did'))
  }
  const result = JSON.parse(readFileSync(kept, 'utf8'))
  const path = `/workspaces/${id}/a2a/queue/${queueId}/reply`
  for (;;) {
    const { status } = await call('POST', path, { result })
    if (status !== undefined && status < 500 && status !== 429) return
    await delay(RETRY_MS)
  }
}

/** A platform that is away is asked again by whoever wants to know: its status is undefined. */
function call(method, path, body) {
  return new Promise((resolve) => {
    const out = request(`${env.PLATFORM_URL}${path}`, { method, headers, agent: false })
    out.setTimeout(TIMEOUT_MS, () => out.destroy(new Error('silence')))
    out.on('error', () => resolve({ status: undefined, body: undefined }))
    out.on('response', async (response) => {
      try {
        let text = ''
        for await (const piece of response) text += piece
        resolve({ status: response.statusCode, body: text === '' ? undefined : JSON.parse(text) })
      } catch {
        resolve({ status: undefined, body: undefined })
      }
    })
    out.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
