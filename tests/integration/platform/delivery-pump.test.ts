import { randomUUID } from 'node:crypto'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { markDispatched } from '../../../apps/platform/src/db/delivery-store.ts'
import type {
  ClaimedDelivery,
  DispatchOutcome,
} from '../../../apps/platform/src/domain/delivery.ts'
import { DeliveryPump } from '../../../apps/platform/src/services/delivery/delivery-pump.ts'
import { openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import {
  claim,
  database,
  enqueue,
  ledger,
  loseLease,
  messageFor,
  occupy,
  provideLedger,
  replicaOfLedger,
  rowOf,
  silent,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

type Replica = {
  readonly pump: DeliveryPump
  readonly clock: HeldClock
  readonly sent: string[]
  stop(): Promise<void>
}
const running: Replica[] = []
afterEach(async () => {
  for (const replica of running.splice(0)) await replica.stop()
})

const ANSWER: DispatchOutcome = {
  kind: 'answered',
  status: 200,
  response: Buffer.from('{}'),
  upstreamTaskId: null,
}

/** A replica of its own, whose time stands: it acts on what it is told, and on nothing else. */
async function startReplica(
  send: (delivery: ClaimedDelivery) => DispatchOutcome | Promise<DispatchOutcome> = () => ANSWER,
): Promise<Replica> {
  const own: DatabaseClient = openDatabase({ url: database.url, maxConnections: 4 })
  const clock = new HeldClock()
  const sent: string[] = []
  const replicaId = randomUUID()
  const replicaLedger = replicaOfLedger(own, replicaId)
  const pump = new DeliveryPump({
    ...{ db: own.db, clock, log: silent, replicaId, ledger: replicaLedger },
    listen: (...args) => own.listen(...args),
    send: async (delivery) => {
      if (!(await markDispatched(own.db, delivery))) return 'released'
      sent.push(delivery.id)
      return await send(delivery)
    },
  })
  replicaLedger.start()
  pump.start()
  const stop = async (): Promise<void> => {
    await pump.stop()
    await replicaLedger.drain()
    await own.close()
  }
  const replica = { pump, clock, sent, stop }
  running.push(replica)
  // Its three timers have had their first turn and wait.
  await eventually(() => clock.sleepers >= 3)
  return replica
}

const isOver = (id: string) => async () => (await rowOf(id))['state'] === 'completed'

describe('the pump', () => {
  it('empties a queue one after the other, in order, as soon as somebody says so', async () => {
    const workspaceId = await workspaceWithRoom(1)
    let atOnce = 0
    const most: number[] = []
    const replica = await startReplica(async () => {
      atOnce += 1
      most.push(atOnce)
      await turnOfLoop()
      atOnce -= 1
      return ANSWER
    })
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await enqueue(workspaceId))
    replica.pump.poke(workspaceId)
    await eventually(isOver(ids.at(-1) ?? ''))
    expect(replica.sent).toEqual(ids)
    expect(new Set(most)).toEqual(new Set([1]))
  })

  it('is woken by what another replica has accepted', async () => {
    const workspaceId = await workspaceWithRoom(1)
    await occupy(workspaceId)
    await database.sql`UPDATE a2a_deliveries SET next_attempt_at = now() WHERE workspace_id = ${workspaceId}`
    const replica = await startReplica()
    await eventually(async () => {
      // Until it listens nobody hears: the message that is accepted then is the one that counts.
      const message = messageFor(workspaceId)
      await ledger.accept(message)
      return replica.sent.length > 0
    })
  })

  it('is not put off by another replica that is at the same queue', async () => {
    const workspaceId = await workspaceWithRoom(1)
    const id = await enqueue(workspaceId)
    const replica = await startReplica(() => ANSWER)
    await database.sql.begin(async (tx) => {
      await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`a2a:${workspaceId}`}, 0))`
      replica.pump.poke(workspaceId)
      await eventually(async () => {
        const [row] = await database.sql`
          SELECT count(*)::integer AS asked FROM pg_stat_activity
           WHERE datname = current_database() AND query ILIKE '%pg_try_advisory_xact_lock%'`
        return row?.['asked'] > 0
      })
    })
    await eventually(isOver(id), 4_000)
  })

  it('sends nothing twice, however many replicas are poked at once', async () => {
    const workspaceId = await workspaceWithRoom(3)
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await enqueue(workspaceId))
    const replicas = await Promise.all([startReplica(), startReplica(), startReplica()])
    for (const { pump } of replicas) pump.poke(workspaceId)
    for (const id of ids) await eventually(isOver(id))
    const sent = replicas.flatMap((replica) => replica.sent)
    const ours = sent.filter((id) => ids.includes(id))
    expect(ours.toSorted()).toEqual(ids.toSorted())
  })

  it('tries a busy one again when its time has come, and at once when something has ended', async () => {
    const workspaceId = await workspaceWithRoom(2)
    const answers: DispatchOutcome[] = [{ kind: 'busy', error: 'busy', retryAfterMs: 60_000 }]
    const replica = await startReplica(() => answers.shift() ?? ANSWER)
    const first = await enqueue(workspaceId)
    replica.pump.poke(workspaceId)
    await eventually(async () => (await rowOf(first))['reason'] === 'agent_busy')
    expect(await claim(workspaceId)).toEqual([])
    replica.pump.poke(workspaceId, true)
    await eventually(isOver(first))
    expect(replica.sent).toEqual([first, first])
  })

  it('takes over what a replica has left behind, and ends what is late', async () => {
    const workspaceId = await workspaceWithRoom(1)
    const lost = await enqueue(workspaceId)
    await claim(workspaceId, randomUUID())
    await loseLease(lost)
    const late = await enqueue(await workspaceWithRoom(1), { expiresAt: new Date(Date.now() - 1) })
    const replica = await startReplica()
    await eventually(isOver(lost))
    expect(replica.sent).toEqual([lost])
    await eventually(async () => (await rowOf(late))['state'] === 'expired')
  })

  it('keeps the lease of what it is sending for as long as that takes', async () => {
    const workspaceId = await workspaceWithRoom(1)
    const { promise, resolve } = Promise.withResolvers<DispatchOutcome>()
    const replica = await startReplica(() => promise)
    const id = await enqueue(workspaceId)
    replica.pump.poke(workspaceId)
    await eventually(() => replica.sent.length === 1)
    await database.sql`
      UPDATE a2a_deliveries SET lease_until = now() + interval '5 seconds' WHERE id = ${id}`
    await eventually(async () => {
      replica.clock.advance(10_000)
      const [row] = await database.sql`
        SELECT lease_until > now() + interval '20 seconds' AS kept FROM a2a_deliveries WHERE id = ${id}`
      return row?.['kept'] === true
    }, 4_000)
    resolve(ANSWER)
    await eventually(isOver(id))
  })

  it('looks by itself now and then, should nobody have told it', async () => {
    const workspaceId = await workspaceWithRoom(1)
    const replica = await startReplica()
    const id = await enqueue(workspaceId)
    await eventually(async () => {
      replica.clock.advance(15_000)
      return await isOver(id)()
    })
  })
})

describe('an answer', () => {
  it('is not lost to a database that is away while it comes', async () => {
    const gate = await openDatabaseGate(database.url)
    const own = openDatabase({ url: gate.url, maxConnections: 2 })
    try {
      const through = replicaOfLedger(own, randomUUID())
      const message = messageFor(await workspaceWithRoom())
      const accepted = await through.accept(message)
      if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
      await gate.shut()
      const settled = through.settle(accepted.claim, ANSWER)
      await eventually(async () => {
        const failed = await own.ping().then(
          () => false,
          () => true,
        )
        return failed
      })
      await gate.open()
      expect(await settled).toMatchObject({ kind: 'written', state: 'completed' })
    } finally {
      await gate.open()
      await own.close()
      await gate.shut()
    }
  })
})
