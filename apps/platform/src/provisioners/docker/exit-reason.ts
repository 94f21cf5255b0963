/** @module Why a container ended, in an operator's words. */
import { constants } from 'node:os'

const SIGNALLED = 128

export type EndedState = { readonly ExitCode: number; readonly OOMKilled?: boolean }

/** `exit code 1`, `signal SIGKILL`, `signal SIGKILL (out of memory)`. */
export function exitReason(state: EndedState): string {
  const number = state.ExitCode - SIGNALLED
  const signal = Object.entries(constants.signals).find(([, each]) => each === number)?.[0]
  const reason = signal === undefined ? `exit code ${state.ExitCode}` : `signal ${signal}`
  return state.OOMKilled === true ? `${reason} (out of memory)` : reason
}
