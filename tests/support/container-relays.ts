/**
 * @module A way from inside a container to a server on this machine's loopback, for tests: servers of
 * tests listen nowhere else. In the network namespace of every box a relay listens on its loopback and
 * passes on to a socket file, which is the same file in every namespace. Needs root on the engine's
 * machine.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { containersOf } from './docker-boxes.ts'

const LOOK_MS = 200

const RELAY = `
  const { connect, createServer } = require('node:net')
  const [port, path] = process.argv.slice(1)
  createServer((inside) => {
    const outside = connect(path)
    inside.pipe(outside).pipe(inside)
    for (const [one, other] of [[inside, outside], [outside, inside]]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  }).listen(Number(port), '127.0.0.1')
`

export type ContainerRelays = { readonly close: () => Promise<void> }

/** Until it is closed, `http://127.0.0.1:<port>` means this machine in every box of the scope. */
export async function openContainerRelays(scope: string, port: number): Promise<ContainerRelays> {
  const folder = mkdtempSync(join(tmpdir(), 'atrium-relay-'))
  const path = join(folder, 'relay.sock')
  const sockets = new Set<Socket>()
  const server = createServer((inside) => {
    const outside = connect(port, '127.0.0.1')
    inside.pipe(outside).pipe(inside)
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  }).listen(path)
  await once(server, 'listening')
  const relays = new Map<string, ChildProcess>()
  let looking: Promise<void> = Promise.resolve()
  const look = async (): Promise<void> => {
    for (const { Id, State } of await containersOf({ scope })) {
      if (!State.Running || relays.has(Id)) continue
      const enter = [`--net=/proc/${State.Pid}/ns/net`, '--', process.execPath]
      relays.set(Id, spawn('nsenter', [...enter, '--eval', RELAY, String(port), path]))
    }
  }
  const timer = setInterval(() => {
    // A box that ends while it is looked at is none that needs a relay.
    looking = looking.then(look).catch(() => undefined)
  }, LOOK_MS)
  return {
    close: async () => {
      clearInterval(timer)
      await looking
      for (const relay of relays.values()) {
        if (relay.exitCode !== null || relay.signalCode !== null) continue
        relay.kill('SIGKILL')
        await once(relay, 'exit')
      }
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
      rmSync(folder, { recursive: true })
    },
  }
}
