/**
 * @module Which processes belong to a box. Pure, so that the rule which decides what gets killed is
 * tested without killing anything.
 */
import type { ProcessInfo, ProcessSnapshot } from './process-table.ts'

export type BoxQuery = {
  /** Taken with `BOX_MARKER_ENV`. */
  readonly snapshot: ProcessSnapshot
  /** The box's folder: whoever carries it as marker is a member, wherever it runs. */
  readonly boxRoot: string
  /** The runtime, which leads a session and a process group of its own; undefined when unknown. */
  readonly leader: { readonly pid: number; readonly startTicks: number } | undefined
  /**
   * Whether the session may be taken for ours without proof: the leader is our own child, and since
   * it was waited for a member has always been left, so its id cannot have been given away.
   */
  readonly isSessionTrusted: boolean
  /**
   * Whether a process works inside the box's folder: proof for its session, but not enough by
   * itself, because a shell of the operator's may stand there.
   */
  readonly isInside: (pid: number) => boolean
  /** The platform: neither it nor anything above it is ever a member. */
  readonly selfPid: number
}

/**
 * The members: everything in the leader's session or group, everything marked, and all descendants
 * of those. A process that cleared its environment, made a session of its own and lost its parent
 * escapes; only a container or a cgroup catches that one.
 */
export function selectBoxMembers(query: BoxQuery): readonly ProcessInfo[] {
  const { processes } = query.snapshot
  const untouchable = ancestorsOf(processes, query.selfPid)
  const session = new Set(sessionMembers(query))
  const members = new Map<number, ProcessInfo>()
  for (const info of processes) {
    const isMember = session.has(info) || isMarked(query, info.pid)
    if (isMember && !untouchable.has(info.pid)) members.set(info.pid, info)
  }
  for (let before = -1; before !== members.size; ) {
    before = members.size
    for (const info of processes) {
      if (members.has(info.parentPid) && !untouchable.has(info.pid)) members.set(info.pid, info)
    }
  }
  return [...members.values()].filter((info) => !info.isZombie)
}

function isMarked({ snapshot, boxRoot }: BoxQuery, pid: number): boolean {
  return snapshot.valueByPid.get(pid) === boxRoot
}

function sessionMembers(query: BoxQuery): readonly ProcessInfo[] {
  const { leader } = query
  if (leader === undefined) return []
  const { processes } = query.snapshot
  const holder = processes.find((info) => info.pid === leader.pid)
  // Linux gives a process id away again only when no process, group or session uses it: another
  // start time under the same id proves that nothing of the former session is left.
  if (holder !== undefined && holder.startTicks !== leader.startTicks) return []
  const session = processes.filter(
    (info) => info.sessionId === leader.pid || info.groupId === leader.pid,
  )
  const isOurs =
    query.isSessionTrusted ||
    session.some((info) => isMarked(query, info.pid) || query.isInside(info.pid))
  return isOurs ? session : []
}

function ancestorsOf(processes: readonly ProcessInfo[], selfPid: number): ReadonlySet<number> {
  const parents = new Map(processes.map((info) => [info.pid, info.parentPid]))
  const chain = new Set<number>()
  for (let pid = selfPid; pid > 0 && !chain.has(pid); pid = parents.get(pid) ?? 0) chain.add(pid)
  return chain
}
