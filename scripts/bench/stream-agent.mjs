// An agent of the bench that works without an end and says so once a second, with the time at which
// it said it; asked for `/end`, it is done with everything at once. Plain JavaScript:
// `node stream-agent.mjs <state file>`.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'

const EVERY_MS = 1_000
const endings = new Set()

const server = createServer(async (incoming, response) => {
  if (incoming.url === '/end') {
    for (const end of endings) end()
    response.end()
    return
  }
  let text = ''
  for await (const piece of incoming) text += piece
  const { id } = JSON.parse(text)
  const place = { taskId: randomUUID(), contextId: randomUUID() }
  const working = { state: 'working' }
  const say = (result) =>
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  say({ kind: 'task', id: place.taskId, contextId: place.contextId, status: working })
  const tick = () => {
    const sentAt = performance.timeOrigin + performance.now()
    say({ kind: 'status-update', ...place, status: working, final: false, metadata: { sentAt } })
  }
  // Not all in the same moment: agents have nothing to do with each other.
  let timer = setTimeout(() => {
    tick()
    timer = setInterval(tick, EVERY_MS)
  }, Math.random() * EVERY_MS)
  const end = () => {
    clearInterval(timer)
    say({ kind: 'status-update', ...place, status: { state: 'completed' }, final: true })
    response.end()
  }
  endings.add(end)
  response.on('close', () => {
    clearInterval(timer)
    endings.delete(end)
  })
})
server.listen(0, '127.0.0.1', () => {
  writeFileSync(
    process.argv[2],
    JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }),
  )
})
process.once('SIGTERM', () => process.exit(0))
