/** @module Interleaved rounds: on shared cores only ratios within one run mean anything. */

export type Contender = { readonly name: string; readonly run: () => Promise<number> }

/** The median of each contender over `rounds` rounds of A B C A B C ..., after one unmeasured. */
export async function interleave(
  contenders: readonly Contender[],
  rounds: number,
): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, run } of contenders) {
      const value = await run()
      if (round >= 0) samples.get(name)?.push(value)
    }
  }
  return new Map([...samples].map(([name, values]) => [name, median(values)]))
}

/** The middle value, or the mean of the two middle ones; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const upper = sorted[Math.floor(half)] ?? Number.NaN
  const lower = sorted[Math.ceil(half) - 1] ?? Number.NaN
  return (upper + lower) / 2
}
