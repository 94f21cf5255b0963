/** @module What dies while messages are on their way: platforms, agents, connections to the database. */
import { setTimeout as delay } from 'node:timers/promises'
import type postgres from 'postgres'
import type { Replica } from '../replica.ts'
import type { Stage } from '../stage.ts'
import type { Hand } from './crew.ts'

/** Five within ten minutes are the platform's own reason to give a workspace up: never so many. */
const MAX_KILLS = 2
const KILL_WINDOW_MS = 10 * 60_000
const AWAY_MS = 3_000
const EVERY_MS = 6_000

export type Deaths = {
  readonly counts: ReadonlyMap<string, number>
  /** Until `signal` is aborted; in the end every replica is up. */
  run(signal: AbortSignal): Promise<void>
}

export function deathsOf(options: {
  readonly stage: Stage
  readonly sql: postgres.Sql
  readonly hands: readonly Hand[]
  readonly random: () => number
  readonly pace: number
}): Deaths {
  const { stage, sql, hands, random, pace } = options
  const counts = new Map<string, number>()
  const count = (what: string): void => {
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)]

  async function endReplica(replica: Replica | undefined): Promise<void> {
    if (replica === undefined) return
    const signal = random() < 0.7 ? 'SIGKILL' : 'SIGTERM'
    count(`platform ${signal}`)
    await replica.end(signal)
    await delay(AWAY_MS * random())
    await replica.start()
  }

  async function endAgent(): Promise<void> {
    const since = performance.now() - KILL_WINDOW_MS
    // One of the crashing kind ends often enough by itself.
    const able = hands.filter(
      ({ kind, killedAt }) =>
        kind !== 'crashing' && killedAt.filter((at) => at > since).length < MAX_KILLS,
    )
    const hand = pick(able)
    if (hand === undefined) return
    const running = stage.controlPlane.existing(hand.id)
    const machine = running.find(({ state }) => state === 'running')
    if (machine === undefined || !(await stage.rows.isOnlineOn(hand.id, machine.instanceId))) return
    await machine.kill()
    hand.killedAt.push(performance.now())
    count(`agent ${hand.kind}`)
  }

  /** Some of those of the platforms, whatever they are in the middle of. */
  async function endConnections(): Promise<void> {
    const share = random() < 0.3 ? 1 : 0.5
    const ended = await sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND application_name <> ${OWN_NAME} AND random() < ${share}`
    count('database connections')
    if (ended.length === 0) count('database connections: none there')
  }

  async function one(): Promise<void> {
    const chance = random()
    if (chance < 0.4) return await endReplica(pick(stage.replicas))
    if (chance < 0.45) return void (await Promise.all(stage.replicas.map(endReplica)))
    if (chance < 0.75) return await endAgent()
    await endConnections()
  }

  return {
    counts,
    async run(signal) {
      while (!signal.aborted) {
        const wait = (EVERY_MS * (0.5 + random())) / pace
        await delay(wait, undefined, { signal }).catch(() => undefined)
        if (!signal.aborted) await one()
      }
    },
  }
}

/** By which our own connections are known, and spared. */
export const OWN_NAME = 'atrium-soak'
