/** @module What a box may use, by the tier of its workspace (contract/platform 7.4 and 10). */

/** Megabytes and shares, 1024 of which are one processor. */
export type TierLimits = { readonly memoryMb: number; readonly cpuShares: number }

/** Of the tiers 2, 3 and 4; 1 has the resources of 2, and so has a tier nobody knows. */
export type TierTable = Readonly<Record<2 | 3 | 4, TierLimits>>

export const DEFAULT_TIERS: TierTable = Object.freeze({
  2: { memoryMb: 512, cpuShares: 1024 },
  3: { memoryMb: 2048, cpuShares: 2048 },
  4: { memoryMb: 4096, cpuShares: 4096 },
})

const CPU_PERIOD_US = 100_000
const SHARES_PER_CPU = 1024
const PIDS: Readonly<Record<2 | 3 | 4, number>> = { 2: 512, 3: 1024, 4: 2048 }

/** The part of the engine's `HostConfig` that bounds a box. */
export function resourceLimits(tier: number, table: TierTable) {
  const known = tier === 3 || tier === 4 ? tier : 2
  const { memoryMb, cpuShares } = table[known]
  const bytes = memoryMb * 1024 * 1024
  return {
    Memory: bytes,
    // Memory and swap together: no swap.
    MemorySwap: bytes,
    CpuShares: cpuShares,
    CpuPeriod: CPU_PERIOD_US,
    // Not `NanoCpus`: that is refused where the machine has fewer processors than the tier.
    CpuQuota: Math.round((cpuShares / SHARES_PER_CPU) * CPU_PERIOD_US),
    PidsLimit: PIDS[known],
  }
}
