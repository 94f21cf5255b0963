/** @module What a soak has seen, as a table. */
import type { Chaos } from './chaos.ts'
import type { Fleet } from './fleet.ts'

export type Figures = {
  readonly chaos: Chaos
  readonly fleet: Fleet
  readonly machines: number
  readonly agentBytes: readonly number[]
  readonly platformBytes: readonly number[]
  readonly settledMs: number | undefined
  readonly takenOver: number
  readonly events: { readonly told: number; readonly streams: number }
  readonly byStatus: ReadonlyMap<string, number>
}

export function renderReport(figures: Figures): string {
  const { chaos, fleet } = figures
  const recovered = fleet.recoveredMs.toSorted((a, b) => a - b)
  const rows: (readonly [string, string])[] = [
    ...entriesOf(chaos.deeds),
    ...entriesOf(chaos.refusals).map(([what, count]) => [`refused ${what}`, count] as const),
    ['recoveries seen', String(recovered.length)],
    ['recoveries overtaken by another deed', String(fleet.overtaken)],
    ['time to recover p50 / p99 / longest', quantiles(recovered)],
    ['lifecycle runs taken over', String(figures.takenOver)],
    ['machines made', String(figures.machines)],
    ['events told, over streams', `${figures.events.told}, ${figures.events.streams}`],
    ['settled after', figures.settledMs === undefined ? 'never' : seconds(figures.settledMs)],
    ['memory of an agent, middle (PSS)', mib(middle(figures.agentBytes))],
    ['memory of a platform, largest (PSS)', mib(Math.max(0, ...figures.platformBytes))],
    ...entriesOf(figures.byStatus).map(([status, count]) => [`now ${status}`, count] as const),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}

function entriesOf(counts: ReadonlyMap<string, number>): (readonly [string, string])[] {
  return [...counts]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => [name, String(count)] as const)
}

function quantiles(sorted: readonly number[]): string {
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]
  return [at(0.5), at(0.99), sorted.at(-1)].map((ms) => seconds(ms ?? 0)).join(' / ')
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(0)} MiB`
}
