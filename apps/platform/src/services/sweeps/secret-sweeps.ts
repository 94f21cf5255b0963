/** @module Secrets that are too old, rotations that nobody proves, keys that are to go. */
import { type ResealDeps, resealSecrets } from '../reseal-secrets.ts'
import { type AgeDeps, retireOverdueSecrets, rotateAgedSecrets } from '../sweep-inbound-secrets.ts'
import type { Sweep } from './sweep.ts'

const BATCH = 50
/** A pass reads every envelope's key id, so it is not made more often than somebody would wait. */
const RESEAL_BATCH = 1_000
const MINUTE_MS = 60_000

export type SecretSweepDeps = AgeDeps & ResealDeps & { readonly sweepIntervalMs: number }

export function secretSweeps(deps: SecretSweepDeps): readonly Sweep[] {
  const { sweepIntervalMs } = deps
  return [
    {
      name: 'inbound-secret-age',
      everyMs: Math.max(sweepIntervalMs, MINUTE_MS),
      run: () => rotateAgedSecrets(deps, BATCH),
    },
    {
      name: 'inbound-secret-grace',
      everyMs: sweepIntervalMs,
      run: () => retireOverdueSecrets(deps, BATCH),
    },
    {
      name: 'stored-secrets',
      everyMs: Math.max(sweepIntervalMs, MINUTE_MS),
      run: () => resealSecrets(deps, RESEAL_BATCH),
    },
  ]
}
