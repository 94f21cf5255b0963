/**
 * @module Beats per second: the platform, which stores those that arrive together in one statement,
 * against one UPDATE per beat, in turns over the same database server.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { sha256 } from '@atrium/http-kit/bearer'
import { systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import { type BeatRecord, storeBeats } from '../../apps/platform/src/db/beat-store.ts'
import { openDatabase, type Sql } from '../../apps/platform/src/db/client.ts'
import { startEmbeddedPostgres } from '../../apps/platform/src/db/embedded-postgres.ts'
import { migrate } from '../../apps/platform/src/db/migrate.ts'
import { workspaceIdSchema } from '../../apps/platform/src/domain/ids.ts'
import { platformCommand } from '../platform-command.ts'
import { beatRequest, type Member, seedFleet } from './beat-fleet.ts'
import { beatFor } from './beat-load.ts'
import { Child, processorSeconds } from './child.ts'
import { interleave, median } from './measure.ts'
import type { Row } from './report.ts'
import { storeSingly } from './single-beats.ts'

const PROJECT_ROOT = resolve(import.meta.dirname, '../..')
const FLEETS = [1_000, 2_000, 10_000] as const
const GROUP = 256
const POOL = 20
const TURN_MS = 2_000
const TARGET_RATIO = 10

export type HeartbeatSuite = {
  readonly folder: string
  readonly rounds: number
  readonly say: (line: string) => void
  readonly undo: (() => Promise<void>)[]
}

export async function measureHeartbeats(suite: HeartbeatSuite): Promise<Row[]> {
  const { folder, undo, say } = suite
  mkdirSync(folder, { recursive: true })
  say('starting a durable database with 10,000 workspaces')
  const encryptionKey = randomBytes(32)
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'postgres'),
    log: pino({ level: 'silent' }),
  })
  undo.push(() => server.stop())
  const database = openDatabase({ url: server.url, maxConnections: POOL })
  undo.push(() => database.close())
  await migrate(database.sql, join(PROJECT_ROOT, 'migrations'))
  const fleet = await seedFleet(database.sql, Math.max(...FLEETS), encryptionKey)
  const env = {
    PATH: process.env['PATH'],
    ATRIUM_MODE: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: server.url,
    ADMIN_TOKEN: randomBytes(24).toString('hex'),
    ATRIUM_ENCRYPTION_KEY: encryptionKey.toString('base64'),
    ATRIUM_PROVISIONER: 'none',
    RATE_LIMIT: '1000000000',
    // A line for every beat, through a pipe to this process, would be most of what is measured.
    LOG_LEVEL: 'warn',
    ATRIUM_DATA_DIR: join(folder, 'platform'),
  }
  const servers = {
    atrium: await serve(suite, {
      env,
      command: platformCommand(),
      state: 'platform/platform.json',
    }),
    peer: await serve(suite, {
      env,
      command: [join(import.meta.dirname, 'single-beats.ts'), join(folder, 'peer.json')],
      state: 'peer.json',
    }),
  }
  return [
    ...(await overHttp(suite, servers, fleet.map(beatRequest))),
    ...(await inDatabase(suite, database.sql, fleet)),
  ]
}

async function overHttp(
  suite: HeartbeatSuite,
  servers: { readonly atrium: Served; readonly peer: Served },
  requests: readonly Buffer[],
): Promise<Row[]> {
  const rows: Row[] = []
  for (const size of FLEETS) {
    const work = `heartbeats of ${size} workspaces, HTTP`
    suite.say(work)
    const mine = requests.slice(0, size)
    const perCpu = new Map<string, number[]>()
    const contender = (name: 'atrium' | 'peer') => ({
      name,
      run: async () => {
        const { port, pid } = servers[name]
        const before = processorTimeOf(pid)
        const startedAt = performance.now()
        const rate = await beatFor(port, mine, TURN_MS)
        const beats = rate * ((performance.now() - startedAt) / 1_000)
        const efficiency = beats / (processorTimeOf(pid) - before)
        perCpu.set(name, [...(perCpu.get(name) ?? []), efficiency])
        return rate
      },
    })
    const medians = await interleave([contender('atrium'), contender('peer')], suite.rounds)
    rows.push({ work, unit: 'beats/s', ...both(medians) })
    // The turn that is not counted comes first.
    const counted = new Map([...perCpu].map(([name, all]) => [name, median(all.slice(1))]))
    rows.push({ work: '  for a second of processor', unit: 'beats/cpu-s', ...both(counted) })
  }
  return rows
}

/** Of the server and of the database: what others on the machine do costs time, and not this. */
function processorTimeOf(pid: number): number {
  return processorSeconds(pid) + processorSeconds(process.pid, 'postgres')
}

/** What the statements alone cost, for a group as the platform makes it under load. */
async function inDatabase(
  suite: HeartbeatSuite,
  sql: Sql,
  fleet: readonly Member[],
): Promise<Row[]> {
  const work = `heartbeats of ${fleet.length} workspaces, SQL alone`
  suite.say(work)
  const records = fleet.map(recordOf)
  let next = 0
  const take = (count: number): readonly BeatRecord[] => {
    if (next + count > records.length) next = 0
    next += count
    return records.slice(next - count, next)
  }
  const groups = async (): Promise<void> => {
    const beats = take(GROUP)
    const now = systemClock.now()
    const options = { beats, now, lockTimeoutMs: 250, isBootstrapOpen: false }
    const { stored } = await storeBeats(sql, options)
    if (stored.size !== GROUP) throw new Error(`${stored.size} of ${GROUP} beats were stored`)
  }
  const singles = async (): Promise<void> => {
    const queue = [...take(GROUP)]
    const lane = async (): Promise<void> => {
      for (let beat = queue.pop(); beat !== undefined; beat = queue.pop()) {
        await storeSingly(sql, beat)
      }
    }
    await Promise.all(Array.from({ length: POOL }, lane))
  }
  const perCpu = new Map<string, number[]>()
  const contender = (name: string, statements: () => Promise<void>) => ({
    name,
    run: async () => {
      const before = processorSeconds(process.pid, 'postgres')
      const { beats, seconds } = await repeated(statements)
      const efficiency = beats / (processorSeconds(process.pid, 'postgres') - before)
      perCpu.set(name, [...(perCpu.get(name) ?? []), efficiency])
      return beats / seconds
    },
  })
  const medians = await interleave(
    [contender('atrium', groups), contender('peer', singles)],
    suite.rounds,
  )
  const counted = new Map([...perCpu].map(([name, all]) => [name, median(all.slice(1))]))
  return [
    { work, unit: 'beats/s', ...both(medians), target: { atLeastRatio: TARGET_RATIO } },
    { work: "  for a second of the database's processor", unit: 'beats/cpu-s', ...both(counted) },
  ]
}

async function repeated(
  work: () => Promise<void>,
): Promise<{ readonly beats: number; readonly seconds: number }> {
  const startedAt = performance.now()
  let beats = 0
  while (performance.now() - startedAt < TURN_MS) {
    await work()
    beats += GROUP
  }
  return { beats, seconds: (performance.now() - startedAt) / 1_000 }
}

function both(medians: ReadonlyMap<string, number>) {
  return { atrium: medians.get('atrium') ?? Number.NaN, peer: medians.get('peer') }
}

function recordOf(member: Member): BeatRecord {
  return {
    workspaceId: workspaceIdSchema.parse(member.id),
    tokenHash: sha256(member.token),
    generation: null,
    errorRate: 0,
    sampleError: '',
    activeTasks: 0,
    uptimeSeconds: 3_600,
    currentTask: '',
    monthlySpend: null,
    runtimeMetadata: '{"capabilities":{"heartbeat":true,"session":true}}',
  }
}

async function serve(
  { folder, undo }: HeartbeatSuite,
  what: {
    readonly env: NodeJS.ProcessEnv
    readonly command: readonly string[]
    readonly state: string
  },
): Promise<Served> {
  const child = new Child(process.execPath, what.command, { cwd: PROJECT_ROOT, env: what.env })
  undo.push(() => child.end())
  const url = await child.until(`${what.state} is written`, () => urlIn(join(folder, what.state)))
  return { port: Number(new URL(url).port), pid: child.pid }
}

type Served = { readonly port: number; readonly pid: number }

function urlIn(stateFile: string): string | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(stateFile, 'utf8'))
    return typeof state === 'object' && state !== null && 'url' in state
      ? String(state.url)
      : undefined
  } catch {
    // Not written yet, or half of it: asked again.
    return undefined
  }
}
