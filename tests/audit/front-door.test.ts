import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FrontDoor, openFrontDoor } from '../support/front-door.ts'

let door: FrontDoor
const servers: Server[] = []

beforeEach(async () => {
  door = await openFrontDoor()
})
afterEach(async () => {
  await door.close()
  await Promise.all(servers.splice(0).map(gone))
})

/** Says its name to everybody who comes, and ends the connection. */
async function replica(name: string): Promise<Server> {
  const server = createServer((socket) => socket.end(name))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

async function gone(server: Server): Promise<void> {
  if (!server.listening) return
  server.close()
  await once(server, 'close')
}

/** What is said on a connection until it ends; nothing when it is broken off. */
async function said(): Promise<string> {
  const socket = connect(Number(new URL(door.url).port), '127.0.0.1')
  let text = ''
  socket.on('data', (piece) => {
    text += String(piece)
  })
  // However it ends, what it said is the answer.
  socket.on('error', () => undefined)
  const closed = Promise.withResolvers<void>()
  socket.once('close', () => closed.resolve())
  await closed.promise
  return text
}

describe('a front door', () => {
  it('lets the replicas take turns', async () => {
    door.behind = [urlOf(await replica('one')), urlOf(await replica('two'))]
    expect([await said(), await said(), await said()]).toEqual(['one', 'two', 'one'])
  })

  it('passes every connection on while one of two is gone, however many come at once', async () => {
    const first = await replica('one')
    door.behind = [urlOf(first), urlOf(await replica('two'))]
    await gone(first)
    const answers = await Promise.all(Array.from({ length: 20 }, said))
    expect(answers.filter((answer) => answer !== 'two')).toEqual([])
  })

  it('breaks a connection off when nobody is left', async () => {
    const first = await replica('one')
    door.behind = [urlOf(first)]
    await gone(first)
    expect(await said()).toBe('')
    door.behind = []
    expect(await said()).toBe('')
  })
})
