/** @module Looks in the process table for what belongs to a box. */
import { sep } from 'node:path'
import process from 'node:process'
import { BOX_MARKER_ENV } from '@atrium/runtime-contract/environment'
import { selectBoxMembers } from './box-members.ts'
import { type PidRecord, readPidRecord } from './pid-record.ts'
import {
  type ProcessInfo,
  type ProcessSnapshot,
  readBootId,
  readWorkingDirectory,
  snapshotProcesses,
} from './process-table.ts'

/** The members of a box whose runtime is, or was until just now, this platform's own child. */
export async function findOwnMembers(
  boxRoot: string,
  leader: ProcessInfo,
): Promise<readonly ProcessInfo[]> {
  const snapshot = await snapshotProcesses(BOX_MARKER_ENV)
  return select(snapshot, { boxRoot, leader, isSessionTrusted: true })
}

/**
 * What an earlier platform, or an earlier start, left of a box. Its record is only a hint: another
 * boot, another start time, or a session without any proof of the box's folder is a stranger's.
 */
export async function findLeftovers(
  boxRoot: string,
  snapshot?: ProcessSnapshot,
): Promise<readonly ProcessInfo[]> {
  const record = await readPidRecord(boxRoot)
  const leader: PidRecord | undefined = record?.bootId === readBootId() ? record : undefined
  return select(snapshot ?? (await snapshotProcesses(BOX_MARKER_ENV)), {
    boxRoot,
    leader,
    isSessionTrusted: false,
  })
}

type Box = {
  readonly boxRoot: string
  readonly leader: { readonly pid: number; readonly startTicks: number } | undefined
  readonly isSessionTrusted: boolean
}

function select(snapshot: ProcessSnapshot, box: Box): readonly ProcessInfo[] {
  return selectBoxMembers({
    ...box,
    snapshot,
    isInside: (pid) => {
      const cwd = readWorkingDirectory(pid)
      return cwd !== undefined && (cwd === box.boxRoot || cwd.startsWith(box.boxRoot + sep))
    },
    selfPid: process.pid,
  })
}
