/**
 * Two lifecycles on one database, with one back-end between them: at most one run per workspace, and
 * what one of them leaves behind the other one takes over.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, systemClock, systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { insertWorkspace } from '../../../apps/platform/src/db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { keyringOf } from '../../../apps/platform/src/domain/secret-envelope.ts'
import type { LifecycleTimings } from '../../../apps/platform/src/services/lifecycle/lifecycle-runner.ts'
import { WorkspaceLifecycle } from '../../../apps/platform/src/services/workspace-lifecycle.ts'
import { WorkspaceTemplates } from '../../../apps/platform/src/services/workspace-templates.ts'
import { eventually } from '../../support/eventually.ts'
import { FakeProvisioner } from '../../support/fake-provisioner.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { newWorkspaceRow } from '../../support/workspace-row.ts'

const BOX = 'http://127.0.0.1:9'
/** Long enough that a busy machine does not lose a lease by being slow. */
const PATIENT = { leaseMs: 30_000, pollMs: 50, concurrency: 8 }
/** For those who are to be taken over. */
const HASTY = { ...PATIENT, leaseMs: 1_500 }

let database: TestDatabase
let client: DatabaseClient
let backEnd: FakeProvisioner
let running: WorkspaceLifecycle[]
const keyring = keyringOf(randomBytes(32))

beforeEach(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 20 })
  backEnd = new FakeProvisioner()
  backEnd.hostId = null
  backEnd.endpoint = () => BOX
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((each) => each.stop()))
  await client.close()
  await database.drop()
})

/** A replica's view of the back-end: one listener each, all of one world. */
function viewOf(world: FakeProvisioner): FakeProvisioner {
  return new Proxy(world, {
    get(target, property) {
      if (property === 'onUnexpectedExit' || property === 'close' || property === 'open') {
        return async () => undefined
      }
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function startReplica(
  clock: Clock = systemClock,
  timings: LifecycleTimings = PATIENT,
): Promise<WorkspaceLifecycle> {
  const lifecycle = new WorkspaceLifecycle({
    db: client.db,
    clock,
    ids: systemIds,
    keyring,
    log: pino({ level: 'silent' }),
    provisioner: viewOf(backEnd),
    templates: new WorkspaceTemplates(undefined),
    platformUrl: () => 'http://127.0.0.1:1',
    runtimeEnv: {},
    replicaId: systemIds.uuid(),
    timings,
    restartDelayMs: 1,
  })
  await lifecycle.start()
  running.push(lifecycle)
  return lifecycle
}

/** As `createWorkspace` does it: the row and the run in one transaction. */
async function create(lifecycle: WorkspaceLifecycle): Promise<WorkspaceId> {
  const id = workspaceIdSchema.parse(systemIds.uuid())
  await client.db.transaction(async (tx) => {
    await insertWorkspace(tx, newWorkspaceRow(id, 'provisioning'))
    await lifecycle.request(tx, { id, reason: 'created' })
  })
  lifecycle.kick(id)
  return id
}

const startsOf = (id: string) => backEnd.starts.filter((start) => start.workspaceId === id)

async function runsLeft(): Promise<number> {
  const rows = await client.sql`SELECT 1 FROM lifecycle_runs`
  return rows.length
}

describe('two replicas', () => {
  it('start every workspace once, however they race for it', async () => {
    const replicas = [await startReplica(), await startReplica()] as const
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, index) => create(index % 2 === 0 ? replicas[0] : replicas[1])),
    )
    await eventually(async () => (await runsLeft()) === 0)
    for (const id of ids) expect(startsOf(id)).toHaveLength(1)
    expect(backEnd.running.size).toBe(40)
  })

  it('answer many restarts with one more box, never with two at once', async () => {
    const replicas = [await startReplica(), await startReplica()] as const
    const id = await create(replicas[0])
    await eventually(async () => (await runsLeft()) === 0)
    let inside = 0
    let most = 0
    backEnd.endpoint = async () => {
      inside += 1
      most = Math.max(most, inside)
      await systemClock.sleep(50)
      inside -= 1
      return BOX
    }
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? replicas[0] : replicas[1]).restart(id),
      ),
    )
    await eventually(async () => (await runsLeft()) === 0)
    expect(most).toBe(1)
    expect(startsOf(id).length).toBeLessThanOrEqual(3)
  })
})

describe('a pause on one replica', () => {
  it('ends a start on the other one, which hears of it with its lease', async () => {
    const { promise: never } = Promise.withResolvers<string>()
    backEnd.endpoint = () => never
    const id = await create(await startReplica(systemClock, HASTY))
    await eventually(() => startsOf(id).length === 1)
    await (await startReplica()).pause(id)
    await eventually(async () => (await runsLeft()) === 0)
    const rows = await client.sql`SELECT status FROM workspaces WHERE id = ${id}`
    expect(rows[0]).toMatchObject({ status: 'paused' })
  })
})

describe('a restart', () => {
  it('ends the box of the generation that it found, and no newer one', async () => {
    const replica = await startReplica()
    const id = await create(replica)
    await eventually(async () => (await runsLeft()) === 0)
    const meant: unknown[] = []
    const stop = backEnd.stop.bind(backEnd)
    backEnd.stop = (which) => {
      meant.push(which)
      return stop(which)
    }
    await replica.restart(id)
    await eventually(() => startsOf(id).length === 2)
    expect(meant).toEqual([{ workspaceId: id, instanceId: null, generation: 1 }])
  })
})

describe('a replica that stops in the middle of a start', () => {
  /** Nothing moves in it any more, as in a process that was suspended: no lease is renewed. */
  function frozenClock(): Clock {
    return { now: () => new Date(), sleep: (_, signal) => untilAborted(signal) }
  }

  it('is taken over, and what it does when it wakes up touches nothing', async () => {
    backEnd.refusesOlder = false
    const wakes = Promise.withResolvers<string>()
    const first = await startReplica(frozenClock(), HASTY)
    backEnd.endpoint = () => wakes.promise
    const id = await create(first)
    await eventually(() => startsOf(id).length === 1)
    backEnd.endpoint = () => BOX
    await startReplica()
    await eventually(() => startsOf(id).length === 2)
    await eventually(async () => (await runsLeft()) === 0)
    const before = await client.sql`SELECT * FROM workspaces WHERE id = ${id}`
    expect(before[0]).toMatchObject({ generation: 2, box_generation: 2, endpoint_url: BOX })
    wakes.resolve('http://127.0.0.1:10')
    await systemClock.sleep(200)
    expect(await client.sql`SELECT * FROM workspaces WHERE id = ${id}`).toEqual(before)
    // The older start does not end the newer box either.
    expect(backEnd.running.has(id)).toBe(true)
    expect(await runsLeft()).toBe(0)
  })

  it('and takes its own run again hears what is wanted of the second try', async () => {
    /** Leases are not renewed; everything else goes on. */
    const forgetful: Clock = {
      now: () => new Date(),
      sleep: (ms, signal) =>
        ms === HASTY.leaseMs / 3 ? untilAborted(signal) : systemClock.sleep(ms, signal),
    }
    const replica = await startReplica(forgetful, HASTY)
    const first = Promise.withResolvers<string>()
    const { promise: never } = Promise.withResolvers<string>()
    backEnd.endpoint = () => first.promise
    const id = await create(replica)
    await eventually(() => startsOf(id).length === 1)
    backEnd.endpoint = () => never
    await eventually(() => startsOf(id).length === 2)
    // The second try is nobody else's for long: only what is told to it ends it.
    await client.sql`UPDATE lifecycle_runs SET lease_until = now() + interval '1 hour'`
    first.resolve(BOX)
    await eventually(() => backEnd.stopped.length === 2)
    await systemClock.sleep(100)
    await replica.pause(id)
    await eventually(async () => (await runsLeft()) === 0)
    const rows = await client.sql`SELECT status FROM workspaces WHERE id = ${id}`
    expect(rows[0]).toMatchObject({ status: 'paused' })
  })

  it('and finds its run taken by another claim gives up what it does', async () => {
    // On a machine of its own the silence alone ends nothing.
    backEnd.hostId = 'this-machine'
    const isAwake = Promise.withResolvers<void>()
    let renewals = 0
    const sleepy: Clock = {
      now: () => new Date(),
      sleep: (ms, signal) => {
        if (ms !== HASTY.leaseMs / 3) return systemClock.sleep(ms, signal)
        renewals += 1
        return renewals === 1 ? isAwake.promise : untilAborted(signal)
      },
    }
    const ends: string[] = []
    const start = backEnd.start.bind(backEnd)
    backEnd.start = (input, signal) => {
      signal.addEventListener('abort', () => ends.push(String(signal.reason)), { once: true })
      return start(input, signal)
    }
    const { promise: never } = Promise.withResolvers<string>()
    backEnd.endpoint = () => never
    const id = await create(await startReplica(sleepy, HASTY))
    await eventually(() => startsOf(id).length === 2)
    await client.sql`UPDATE lifecycle_runs SET lease_until = now() + interval '1 hour'`
    expect(ends).toEqual([])
    isAwake.resolve()
    await eventually(() => ends.length === 1)
    expect(ends).toEqual(['Error: the run was taken over by another replica'])
  })

  it('and ends in order gives its run back at once', async () => {
    const { promise: never } = Promise.withResolvers<string>()
    const first = await startReplica()
    backEnd.endpoint = () => never
    const id = await create(first)
    await eventually(() => startsOf(id).length === 1)
    backEnd.endpoint = () => BOX
    await first.stop()
    const rows = await client.sql`SELECT lease_owner FROM lifecycle_runs WHERE workspace_id = ${id}`
    expect(rows[0]?.['lease_owner']).toBeNull()
    await startReplica()
    await eventually(() => startsOf(id).length === 2)
  })
})

describe('a shared back-end', () => {
  it('keeps its boxes when a replica ends', async () => {
    const replica = await startReplica()
    const id = await create(replica)
    await eventually(async () => (await runsLeft()) === 0)
    await replica.stop()
    const rows = await client.sql`SELECT status, endpoint_url FROM workspaces WHERE id = ${id}`
    expect(rows[0]).toMatchObject({ status: 'provisioning', endpoint_url: BOX })
    expect(backEnd.running.has(id)).toBe(true)
  })
})

describe('boxes of one machine', () => {
  it('are taken back at once by the platform that comes after a killed one', async () => {
    backEnd.hostId = 'this-machine'
    const { promise: never } = Promise.withResolvers<string>()
    const killed = await startReplica()
    backEnd.endpoint = () => never
    const id = await create(killed)
    await eventually(() => startsOf(id).length === 1)
    backEnd.endpoint = () => BOX
    // Its lease is good for half a minute, and nobody can hold it any more.
    await startReplica()
    await eventually(() => startsOf(id).length === 2, 5_000)
  })

  it('are started by its own platform only', async () => {
    const replica = await startReplica()
    const id = await create(replica)
    await eventually(async () => (await runsLeft()) === 0)
    await client.sql`UPDATE workspaces SET host_id = 'elsewhere' WHERE id = ${id}`
    await replica.restart(id)
    await systemClock.sleep(300)
    expect(startsOf(id)).toHaveLength(1)
    expect(await runsLeft()).toBe(1)
  })
})

async function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  if (signal?.aborted === true) throw signal.reason
  await promise
}
