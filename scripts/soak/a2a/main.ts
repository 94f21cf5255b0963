/**
 * @module `npm run soak -- a2a`: messages to agents of every kind while platforms, agents and
 * connections to the database die; every message ends once, and its sender knows how.
 */
import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { randomOf } from '../random-of.ts'
import { type Stage, setStage } from '../stage.ts'
import { findProblems } from './checks.ts'
import { type Hand, hire, KINDS, type Kind } from './crew.ts'
import { deathsOf, OWN_NAME } from './deaths.ts'
import { renderReport } from './report.ts'
import { type Letter, newLetter, see } from './sender.ts'

const AGENT = join(import.meta.dirname, 'agent.mjs')
const PROGRESS_MS = 15_000
const ONLINE_WITHIN_MS = 120_000
const MAX_PROBLEMS_SHOWN = 40

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

const DEFAULTS = {
  minutes: 10,
  workspaces: 20,
  messages: 5_000,
  replicas: 2,
  pace: 1,
  /** Seconds after the last death in which every message has to come to its end. */
  settle: 180,
}

type Settings = typeof DEFAULTS & { readonly seed: number; readonly kinds: readonly Kind[] }

function readSettings(args: readonly string[]): Settings {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ minutes: text, workspaces: text, messages: text, replicas: text, pace: text },
      ...{ settle: text, seed: text, kinds: text },
    },
  })
  const chosen = values.kinds?.split(',') ?? [...KINDS]
  const kinds = KINDS.filter((kind) => chosen.includes(kind))
  if (kinds.length !== chosen.length) throw new Error(`--kinds are ${KINDS.join(',')}`)
  const settings = { ...DEFAULTS, seed: randomInt(2 ** 31), kinds }
  for (const name of [
    'minutes',
    'workspaces',
    'messages',
    'replicas',
    'pace',
    'settle',
    'seed',
  ] as const) {
    const given = values[name]
    if (given !== undefined) settings[name] = Number(given)
    if (!(settings[name] > 0)) throw new Error(`--${name} must be a positive number`)
  }
  return settings
}

/** Resolves with the exit code. */
export async function soakMessages(args: readonly string[]): Promise<number> {
  const settings = readSettings(args)
  say(`soak a2a: ${JSON.stringify(settings)}`)
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort())
  }
  const stage = await setStage(settings.replicas, AGENT)
  const sql = postgres(stage.databaseUrl, {
    ...{ max: 2, onnotice: () => undefined, connection: { application_name: OWN_NAME } },
  })
  let exitCode = 1
  try {
    exitCode = await soak({ stage, sql }, settings, interrupted.signal)
  } finally {
    await sql.end({ timeout: 5 })
    await stage.end()
    if (exitCode === 0) rmSync(stage.folder, { recursive: true, force: true })
    else say(`what the platforms said is in ${stage.folder}`)
  }
  return exitCode
}

type Scene = { readonly stage: Stage; readonly sql: postgres.Sql }

async function soak(scene: Scene, settings: Settings, interrupted: AbortSignal): Promise<number> {
  const { stage, sql } = scene
  const random = randomOf(settings.seed)
  const hands = await hire(stage, settings.workspaces, settings.kinds)
  await untilOnline(scene, hands)
  const letters: Letter[] = []
  const deaths = deathsOf({ stage, sql, hands, random, pace: settings.pace })
  const time = AbortSignal.timeout(settings.minutes * 60_000)
  const noMore = new AbortController()
  const during = AbortSignal.any([time, interrupted])
  const telling = tellProgress(letters, deaths.counts, during)
  const dying = deaths.run(during)
  const sending = sendAll(scene, { hands, letters, settings, random }, noMore.signal)
  await Promise.all([dying, telling])
  say('letting it settle ...')
  const since = performance.now()
  const cut = setTimeout(() => noMore.abort(), settings.settle * 1_000)
  await sending
  clearTimeout(cut)
  await untilNothingIsOpen(scene, since + settings.settle * 1_000)
  const settledMs = performance.now() - since
  const findings = await findProblems(scene, hands, letters)
  const { problems } = findings
  process.stdout.write(
    `\n${renderReport({ letters, deaths: deaths.counts, findings, settledMs })}\n\n`,
  )
  for (const problem of problems.slice(0, MAX_PROBLEMS_SHOWN)) {
    process.stdout.write(`! ${problem}\n`)
  }
  process.stdout.write(
    problems.length === 0
      ? `soak a2a: every message ended once, and its sender knows how, seed ${settings.seed}\n`
      : `soak a2a: ${problems.length} problems, seed ${settings.seed}\n`,
  )
  return problems.length === 0 && !interrupted.aborted ? 0 : 1
}

async function untilOnline({ stage }: Scene, hands: readonly Hand[]): Promise<void> {
  const deadline = performance.now() + ONLINE_WITHIN_MS
  for (;;) {
    const rows = await stage.rows.all()
    const online = new Set(rows.filter(({ status }) => status === 'online').map(({ id }) => id))
    if (hands.every(({ id }) => online.has(id))) break
    if (performance.now() > deadline) throw new Error('not every workspace has come online')
    await delay(200)
  }
  say('all online')
}

type Sending = {
  readonly hands: readonly Hand[]
  readonly letters: Letter[]
  readonly settings: Settings
  readonly random: () => number
}

/** Evenly over the time, with its chances; each sender waits for its own message only. */
async function sendAll(
  { stage }: Scene,
  { hands, letters, settings, random }: Sending,
  signal: AbortSignal,
): Promise<void> {
  const everyMs = (settings.minutes * 60_000) / settings.messages
  const waiting: Promise<void>[] = []
  for (let index = 0; index < settings.messages && !signal.aborted; index += 1) {
    const hand = hands[Math.floor(random() * hands.length)]
    if (hand === undefined) return
    const letter = newLetter(hand.id, `m-${settings.seed}-${index}`)
    letters.push(letter)
    waiting.push(see(stage.api, letter, signal))
    await delay(-Math.log(1 - random()) * everyMs)
  }
  await Promise.all(waiting)
}

/** Rows whose senders know their end already may still be written. */
async function untilNothingIsOpen({ sql }: Scene, deadline: number): Promise<void> {
  for (;;) {
    const open = await sql`
      SELECT 1 FROM a2a_deliveries WHERE state IN ('queued', 'leased', 'dispatched') LIMIT 1`
    if (open.length === 0 || performance.now() > deadline) return
    await delay(500)
  }
}

async function tellProgress(
  letters: readonly Letter[],
  deaths: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<void> {
  const beganAt = performance.now()
  while (!signal.aborted) {
    await delay(PROGRESS_MS, undefined, { signal }).catch(() => undefined)
    const over = letters.filter(({ ending }) => ending !== undefined).length
    const died = [...deaths].map(([name, count]) => `${name} ${count}`).join(', ')
    const elapsed = ((performance.now() - beganAt) / 1_000).toFixed(0)
    say(`${elapsed} s: ${over} of ${letters.length} have ended; ${died}`)
  }
}
