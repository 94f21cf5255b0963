/** @module How long a start may take until its workspace is online (contract/platform 7.3). */

const DEFAULT_MS = 600_000
/** Kinds that set more up than others when they start. */
const LONGER_MS: ReadonlyMap<string, number> = new Map([['hermes', 1_800_000]])

/** In milliseconds; `overrideMs` is the operator's and holds for every kind. */
export function provisionTimeoutMs(runtimeKind: string, overrideMs: number | undefined): number {
  return overrideMs ?? LONGER_MS.get(runtimeKind) ?? DEFAULT_MS
}

/** What no kind falls below, in milliseconds. */
export function shortestProvisionTimeoutMs(overrideMs: number | undefined): number {
  return overrideMs ?? DEFAULT_MS
}
