/** @module What goes wrong, and what is asked for meanwhile: at random, at a steady rate. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet, Member, Wanted } from './fleet.ts'
import { type Action, idOf, type Outcome, type PlatformApi } from './platform-api.ts'
import type { Replica } from './replica.ts'

/** Five deaths within ten minutes are the platform's own reason to give up: never so many of ours. */
const MAX_KILLS = 3
const KILL_WINDOW_MS = 10 * 60_000
/** Things that happen to one workspace per minute, on average. */
const EVENTS_PER_WORKSPACE_MINUTE = 0.6
const REPLICA_ENDS_EVERY_MS = 25_000
const REPLICA_IS_AWAY_MS = 4_000

type Deed = 'kill' | 'create' | 'remove' | Action

/** Of a hundred. */
const DEEDS: readonly (readonly [Deed, number])[] = [
  ['kill', 42],
  ['restart', 10],
  ['pause', 10],
  ['resume', 14],
  ['hibernate', 5],
  ['wake', 7],
  ['remove', 6],
  ['create', 6],
]

/** What a workspace has to be after each, and before it where that matters. */
const AFTER: Readonly<Record<Action, Wanted>> = {
  restart: 'online',
  pause: 'paused',
  resume: 'online',
  hibernate: 'hibernated',
  wake: 'online',
}
const BEFORE: Readonly<Record<Exclude<Deed, 'create'>, Wanted>> = {
  kill: 'online',
  restart: 'online',
  pause: 'online',
  resume: 'paused',
  hibernate: 'online',
  wake: 'hibernated',
  remove: 'online',
}

export type ChaosOptions = {
  readonly api: PlatformApi
  readonly fleet: Fleet
  readonly replicas: readonly Replica[]
  readonly random: () => number
  /** How many times as much happens as usual. */
  readonly pace: number
}

export class Chaos {
  readonly deeds = new Map<string, number>()
  readonly refusals = new Map<string, number>()
  readonly #options: ChaosOptions
  readonly #pending = new Set<Promise<void>>()
  #created = 0

  constructor(options: ChaosOptions) {
    this.#options = options
  }

  /** Until `signal` is aborted, and everything that was asked for has been answered. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#disturbWorkspaces(signal), this.#disturbReplicas(signal)])
    await Promise.all(this.#pending)
  }

  async #disturbWorkspaces(signal: AbortSignal): Promise<void> {
    const { fleet, random, pace } = this.#options
    const perSecond = (fleet.members.length * EVENTS_PER_WORKSPACE_MINUTE * pace) / 60
    while (!signal.aborted) {
      await sleep((-Math.log(1 - random()) * 1_000) / perSecond, signal)
      if (!signal.aborted) this.#begin(this.#choose())
    }
  }

  async #disturbReplicas(signal: AbortSignal): Promise<void> {
    const { random, replicas, pace } = this.#options
    while (!signal.aborted) {
      await sleep((REPLICA_ENDS_EVERY_MS * (0.5 + random())) / pace, signal)
      if (signal.aborted) return
      // Now and then nobody is left.
      const chosen = random() < 0.15 ? replicas : [this.#pick(replicas)]
      await Promise.all(chosen.map((replica) => this.#endAndStart(replica)))
    }
  }

  async #endAndStart(replica: Replica | undefined): Promise<void> {
    if (replica === undefined) return
    const signal = this.#options.random() < 0.5 ? 'SIGKILL' : 'SIGTERM'
    this.#count(`replica ${signal}`)
    await replica.end(signal)
    await delay(REPLICA_IS_AWAY_MS * (0.25 + this.#options.random()))
    await replica.start()
  }

  #begin(deed: Deed): void {
    const work = this.#do(deed).finally(() => this.#pending.delete(work))
    this.#pending.add(work)
  }

  async #do(deed: Deed): Promise<void> {
    if (deed === 'create') return this.#create()
    const member = this.#pick(this.#candidates(deed))
    if (member === undefined) return
    if (deed === 'kill') {
      if (await this.#options.fleet.kill(member)) this.#count('kill')
      return
    }
    member.isBusy = true
    this.#options.fleet.overtake(member)
    const { api } = this.#options
    const outcome = deed === 'remove' ? await api.remove(member.id) : await api.act(member.id, deed)
    this.#note(deed, outcome)
    member.wanted = wantedAfter(member.wanted, deed === 'remove' ? 'removed' : AFTER[deed], outcome)
    member.isBusy = false
  }

  async #create(): Promise<void> {
    const { api, fleet } = this.#options
    this.#created += 1
    const outcome = await api.create(`soak-more-${this.#created}`)
    this.#note('create', outcome)
    if (outcome.kind === 'done') fleet.add(idOf(outcome.body))
  }

  #candidates(deed: Exclude<Deed, 'create'>): Member[] {
    const since = performance.now() - KILL_WINDOW_MS
    return this.#options.fleet.members.filter((member) => {
      if (member.isBusy) return false
      if (deed === 'kill' && member.killedAt.filter((at) => at > since).length >= MAX_KILLS) {
        return false
      }
      return member.wanted === BEFORE[deed] || (member.wanted === 'unknown' && deed === 'restart')
    })
  }

  #choose(): Deed {
    let rest = this.#options.random() * DEEDS.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [deed, weight] of DEEDS) {
      rest -= weight
      if (rest < 0) return deed
    }
    return 'kill'
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#options.random() * from.length)]
  }

  #note(deed: Deed, outcome: Outcome): void {
    this.#count(outcome.kind === 'done' ? deed : `${deed} ${outcome.kind}`)
    if (outcome.kind !== 'refused') return
    const text = `${deed}: ${outcome.status} ${outcome.code}`
    this.refusals.set(text, (this.refusals.get(text) ?? 0) + 1)
  }

  #count(what: string): void {
    this.deeds.set(what, (this.deeds.get(what) ?? 0) + 1)
  }
}

/** A refusal by what it is now changes nothing; a 5xx may have done half of it. */
function wantedAfter(before: Wanted, after: Wanted, outcome: Outcome): Wanted {
  if (outcome.kind === 'done') return after
  return outcome.kind === 'refused' && outcome.status < 500 ? before : 'unknown'
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
