/**
 * @module What one process of a workspace may take, by tier: limits of the kernel (getrlimit(2)), set
 * by `prlimit` of util-linux, which becomes the runtime itself. Memory is not among them (ADR-0019).
 */
import { readFileSync } from 'node:fs'

const GIB = 1024 ** 3

type Limits = {
  readonly nofile: number
  /** Processes and threads of one user: set only where the box has a user of its own. */
  readonly nproc: number
  /** Bytes of one file. */
  readonly fsize: number
}

const LARGEST: Limits = { nofile: 65_536, nproc: 4096, fsize: Number.POSITIVE_INFINITY }
const USUAL: Limits = { nofile: 8192, nproc: 512, fsize: 16 * GIB }
const BY_TIER: ReadonlyMap<number, Limits> = new Map([
  [1, { nofile: 4096, nproc: 256, fsize: 4 * GIB }],
  [2, USUAL],
  [3, { nofile: 16_384, nproc: 1024, fsize: 64 * GIB }],
  [4, LARGEST],
])

/** What this process may give away at most; a missing row is no limit. */
export type HardLimits = Pick<Limits, 'nofile' | 'nproc' | 'fsize'>

/**
 * The options of `prlimit` for a tier; an unknown tier counts as 2 (contract/platform 7.4). Never
 * more than `hard`, which nobody but root may exceed. No core files: they would hold the secrets.
 */
export function limitArguments(
  tier: number,
  hard: HardLimits,
  hasOwnUser: boolean,
): readonly string[] {
  const limits = BY_TIER.get(tier) ?? USUAL
  const names = hasOwnUser
    ? (['nofile', 'fsize', 'nproc'] as const)
    : (['nofile', 'fsize'] as const)
  const options = names.flatMap((name) => {
    const value = Math.min(limits[name], hard[name])
    return Number.isFinite(value) ? [`--${name}=${value}:${value}`] : []
  })
  return ['--core=0:0', ...options]
}

/** The hard limits of this process. */
export function readHardLimits(): HardLimits {
  return parseHardLimits(readFileSync('/proc/self/limits', 'utf8'))
}

/** Reads the table of proc(5). */
export function parseHardLimits(table: string): HardLimits {
  const hardOf = (name: string): number => {
    const digits = new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(table)?.[1]
    return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits)
  }
  return {
    nofile: hardOf('Max open files'),
    nproc: hardOf('Max processes'),
    fsize: hardOf('Max file size'),
  }
}
