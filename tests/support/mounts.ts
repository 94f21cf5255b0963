/** @module Mounts for tests that need one, on machines that allow it: mostly that means root. */
import { execFileSync } from 'node:child_process'

/** Mounts and returns what unmounts it again, or undefined where that is not allowed. */
export function tryMount(
  options: readonly string[],
  source: string,
  target: string,
): (() => void) | undefined {
  try {
    execFileSync('mount', [...options, source, target], { stdio: 'pipe' })
  } catch {
    return undefined
  }
  return () => execFileSync('umount', [target])
}
