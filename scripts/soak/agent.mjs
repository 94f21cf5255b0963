// A workspace of the smallest size: a process that registers, beats and answers. Plain JavaScript
// without dependencies, for there are hundreds of them.
import { createServer, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

const { env } = process
const headers = {
  authorization: `Bearer ${env.ATRIUM_AUTH_TOKEN}`,
  'content-type': 'application/json',
}
const generation = Number(env.ATRIUM_GENERATION)
const RETRY_MS = 1_000
const TIMEOUT_MS = 10_000

const server = createServer((_, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ workspace_id: env.WORKSPACE_ID, generation }))
})
server.listen(0, env.SOAK_ADDRESS, () => void live())

// Whoever started it holds the other end: nothing is left behind when that one is killed.
process.stdin.resume().on('end', () => process.exit(0))

async function live() {
  for (;;) {
    const url = `http://${env.SOAK_ADDRESS}:${server.address().port}`
    const card = { name: 'soak' }
    const body = { id: env.WORKSPACE_ID, url, agent_card: card, generation }
    if ((await post('/registry/register', body)) === 200) await beat()
    await delay(RETRY_MS)
  }
}

/** Until the platform does not know it any more. */
async function beat() {
  for (;;) {
    await delay(Number(env.SOAK_BEAT_MS))
    const status = await post('/registry/heartbeat', { workspace_id: env.WORKSPACE_ID, generation })
    if (status === 401 || status === 404) return
  }
}

function post(path, body) {
  return new Promise((resolve) => {
    const call = request(`${env.PLATFORM_URL}${path}`, { method: 'POST', headers })
    call.setTimeout(TIMEOUT_MS, () => call.destroy(new Error('silence')))
    call.on('response', (response) => {
      response.resume().on('close', () => resolve(response.statusCode))
    })
    // A platform that is away is asked again.
    call.on('error', () => resolve(undefined))
    call.end(JSON.stringify(body))
  })
}
