import { describe, expect, it } from 'vitest'
import { type BoxQuery, selectBoxMembers } from './box-members.ts'
import type { ProcessInfo } from './process-table.ts'

const ROOT = '/data/workspaces/a'

function info(pid: number, values: Partial<ProcessInfo> = {}): ProcessInfo {
  return {
    pid,
    parentPid: 1,
    groupId: pid,
    sessionId: pid,
    startTicks: 1000,
    isZombie: false,
    ...values,
  }
}

function members(
  processes: readonly ProcessInfo[],
  query: Partial<Omit<BoxQuery, 'snapshot'>> & { readonly marks?: Record<number, string> } = {},
): readonly number[] {
  const { marks = {}, ...rest } = query
  const valueByPid = new Map(Object.entries(marks).map(([pid, value]) => [Number(pid), value]))
  return selectBoxMembers({
    boxRoot: ROOT,
    leader: { pid: 50, startTicks: 1000 },
    isSessionTrusted: false,
    isInside: () => false,
    selfPid: 10,
    ...rest,
    snapshot: { processes: [info(1, { parentPid: 0 }), info(10), ...processes], valueByPid },
  }).map((process) => process.pid)
}

describe('selectBoxMembers', () => {
  const leader = info(50)
  const child = info(51, { parentPid: 50, groupId: 50, sessionId: 50, startTicks: 1001 })
  const orphan = info(52, { groupId: 50, sessionId: 50, startTicks: 1002 })

  it('takes the session of a trusted leader, with or without the leader itself', () => {
    expect(members([leader, child, orphan], { isSessionTrusted: true })).toEqual([50, 51, 52])
    expect(members([child, orphan], { isSessionTrusted: true })).toEqual([51, 52])
  })

  it('takes an untrusted session only when one of its members proves it', () => {
    expect(members([leader, child, orphan])).toEqual([])
    expect(members([leader, child, orphan], { marks: { 51: ROOT } })).toEqual([50, 51, 52])
    expect(members([leader, orphan], { isInside: (pid) => pid === 52 })).toEqual([50, 52])
  })

  it('takes nobody of a session whose id was given away again', () => {
    const recycled = info(50, { startTicks: 2000 })
    const theirs = info(60, { sessionId: 50, groupId: 50, startTicks: 2001 })
    expect(members([recycled, theirs], { isSessionTrusted: true })).toEqual([])
  })

  it('takes what carries the mark wherever it runs, and nothing with a similar one', () => {
    const marks = { 70: ROOT, 71: `${ROOT}2`, 72: '/data/workspaces' }
    expect(members([info(70), info(71), info(72)], { leader: undefined, marks })).toEqual([70])
  })

  it('takes the descendants of members, in whatever order they are listed', () => {
    const grandchild = info(30, { parentPid: 40 })
    const detached = info(40, { parentPid: 50 })
    expect(members([grandchild, detached, leader], { isSessionTrusted: true })).toEqual([
      50, 40, 30,
    ])
  })

  it('never takes the platform or anything above it', () => {
    const shell = info(9, { parentPid: 50 })
    const self = info(10, { parentPid: 9 })
    const chain = [leader, shell]
    const snapshot = { processes: [...chain, self], valueByPid: new Map([[10, ROOT]]) }
    const taken = selectBoxMembers({
      snapshot,
      boxRoot: ROOT,
      leader,
      isSessionTrusted: true,
      isInside: () => false,
      selfPid: 10,
    })
    expect(taken).toEqual([])
  })

  it('does not wait for zombies', () => {
    const zombie = info(50, { isZombie: true })
    expect(members([zombie, child], { isSessionTrusted: true })).toEqual([51])
  })
})
