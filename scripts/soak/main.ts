/**
 * @module `npm run soak`: real platforms on one database, real processes as workspaces, everything
 * killed at random; then the platform's word is compared with the processes themselves.
 */
import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { soakMessages } from './a2a/main.ts'
import { Chaos } from './chaos.ts'
import { findProblems, type World } from './checks.ts'
import { EventFollower } from './event-follower.ts'
import { Fleet } from './fleet.ts'
import { randomOf } from './random-of.ts'
import { renderReport } from './report.ts'
import { proportionalBytes } from './soak-machine.ts'
import { type Stage, setStage } from './stage.ts'

const PROGRESS_MS = 15_000
const OBSERVE_MS = 250
const CREATE_AT_ONCE = 8
const CHECK_EVERY_MS = 2_000
const ALL_ONLINE_WITHIN_MS = 300_000
const MAX_PROBLEMS_SHOWN = 40

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

type Settings = {
  readonly minutes: number
  readonly workspaces: number
  readonly replicas: number
  readonly pace: number
  /** Seconds after which everything has to be as it should. */
  readonly settle: number
  readonly seed: number
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      workspaces: { type: 'string', default: '200' },
      replicas: { type: 'string', default: '2' },
      pace: { type: 'string', default: '1' },
      settle: { type: 'string', default: '240' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    },
  })
  const settings = {
    minutes: Number(values.minutes),
    workspaces: Number(values.workspaces),
    replicas: Number(values.replicas),
    pace: Number(values.pace),
    settle: Number(values.settle),
    seed: Number(values.seed),
  }
  for (const [name, value] of Object.entries(settings)) {
    if (!(value > 0)) throw new Error(`--${name} must be a positive number`)
  }
  return settings
}

async function main(): Promise<number> {
  const settings = readSettings()
  say(`soak: ${JSON.stringify(settings)}`)
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort())
  }
  const stage = await setStage(settings.replicas)
  let exitCode = 1
  try {
    exitCode = await soak(stage, settings, interrupted.signal)
  } finally {
    await stage.end()
    if (exitCode === 0) rmSync(stage.folder, { recursive: true, force: true })
    else say(`what the platforms said is in ${stage.folder}`)
  }
  return exitCode
}

async function soak(stage: Stage, settings: Settings, interrupted: AbortSignal): Promise<number> {
  const fleet = new Fleet(stage.controlPlane, stage.rows)
  const follower = new EventFollower(stage.api)
  const chaos = new Chaos({ ...stage, fleet, random: randomOf(settings.seed), pace: settings.pace })
  const world: World = { ...stage, fleet, follower }
  const over = new AbortController()
  follower.start()
  await createAll(stage, fleet, settings.workspaces)
  const observing = observe(stage, fleet, over.signal)
  const first = await untilNoProblems(world, ALL_ONLINE_WITHIN_MS, interrupted)
  say(`all online: ${first.problems.length === 0 ? 'yes' : first.problems.slice(0, 5).join('; ')}`)
  const agentBytes = stage.controlPlane
    .existing()
    .flatMap((machine) => machine.pids().map(proportionalBytes))
  const time = AbortSignal.timeout(settings.minutes * 60_000)
  const telling = tellProgress({ fleet, chaos, signal: AbortSignal.any([time, over.signal]) })
  await chaos.run(AbortSignal.any([time, interrupted]))
  await telling
  say('letting it settle ...')
  const { problems, tookMs } = await untilNoProblems(world, settings.settle * 1_000, interrupted)
  over.abort()
  await observing
  const platformBytes = stage.replicas.map(({ pid }) => proportionalBytes(pid ?? 0))
  await follower.stop()
  const rows = await stage.rows.all()
  process.stdout.write(
    `\n${renderReport({
      chaos,
      fleet,
      machines: stage.controlPlane.machines().length,
      agentBytes,
      platformBytes,
      settledMs: problems.length === 0 ? tookMs : undefined,
      takenOver: countInLogs(stage, 'lifecycle.run_taken_over'),
      events: { told: follower.seen.length, streams: follower.resumed },
      byStatus: countBy(rows.map(({ status }) => status)),
    })}\n\n`,
  )
  for (const problem of problems.slice(0, MAX_PROBLEMS_SHOWN))
    process.stdout.write(`! ${problem}\n`)
  process.stdout.write(
    problems.length === 0
      ? `soak: everything is as the platform says, seed ${settings.seed}\n`
      : `soak: ${problems.length} problems, seed ${settings.seed}\n`,
  )
  return problems.length === 0 && !interrupted.aborted ? 0 : 1
}

async function createAll(stage: Stage, fleet: Fleet, count: number): Promise<void> {
  say(`creating ${count} workspaces ...`)
  let next = 0
  const worker = async (): Promise<void> => {
    for (next += 1; next <= count; next += 1) {
      fleet.add(await stage.api.createSurely(`soak-${next}`))
    }
  }
  await Promise.all(Array.from({ length: CREATE_AT_ONCE }, worker))
}

async function untilNoProblems(
  world: World,
  withinMs: number,
  interrupted: AbortSignal,
): Promise<{ readonly problems: readonly string[]; readonly tookMs: number }> {
  const beganAt = performance.now()
  for (;;) {
    const problems = await findProblems(world)
    const tookMs = performance.now() - beganAt
    if (problems.length === 0 || tookMs > withinMs || interrupted.aborted) {
      return { problems, tookMs }
    }
    await delay(CHECK_EVERY_MS)
  }
}

async function observe(stage: Stage, fleet: Fleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (fleet.recovering > 0) fleet.observe(await stage.rows.all())
    await delay(OBSERVE_MS)
  }
}

async function tellProgress(told: {
  readonly fleet: Fleet
  readonly chaos: Chaos
  readonly signal: AbortSignal
}): Promise<void> {
  const beganAt = performance.now()
  while (!told.signal.aborted) {
    await delay(PROGRESS_MS, undefined, { signal: told.signal }).catch(() => undefined)
    const deeds = [...told.chaos.deeds].map(([name, count]) => `${name} ${count}`).join(', ')
    const elapsed = ((performance.now() - beganAt) / 1_000).toFixed(0)
    const { recovering, recoveredMs } = told.fleet
    say(`${elapsed} s: ${deeds}; recovered ${recoveredMs.length}, recovering ${recovering}`)
  }
}

function countInLogs({ replicas }: Stage, event: string): number {
  const lines = replicas.flatMap((replica) => replica.log().split('\n'))
  return lines.filter((line) => line.includes(`"${event}"`)).length
}

function countBy(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

const [first, ...rest] = process.argv.slice(2)
process.exitCode = first === 'a2a' ? await soakMessages(rest) : await main()
