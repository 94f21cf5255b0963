/** @module The workspaces of the soak: what was asked of each, and how long it takes to come back. */
import type { ControlPlane } from '../../tests/support/control-plane/control-plane.ts'
import type { Machine } from '../../tests/support/control-plane/machine.ts'
import type { WorkspaceFacts, WorkspaceRows } from './workspace-rows.ts'

/** What a workspace has to be in the end; `unknown` after a call whose answer was lost. */
export type Wanted = 'online' | 'paused' | 'hibernated' | 'removed' | 'unknown'

export type Member = {
  readonly id: string
  wanted: Wanted
  /** A call about it is on its way. */
  isBusy: boolean
  /** When its process was killed, newest last. */
  readonly killedAt: number[]
}

type Recovery = { readonly member: Member; readonly dead: Machine; readonly since: number }

export class Fleet {
  readonly members: Member[] = []
  readonly recoveredMs: number[] = []
  /** Killed, and then told to do something else. */
  overtaken = 0
  readonly #controlPlane: ControlPlane
  readonly #recovering = new Map<string, Recovery>()
  readonly #rows: WorkspaceRows

  constructor(controlPlane: ControlPlane, rows: WorkspaceRows) {
    this.#controlPlane = controlPlane
    this.#rows = rows
  }

  add(id: string): Member {
    const member: Member = { id, wanted: 'online', isBusy: false, killedAt: [] }
    this.members.push(member)
    return member
  }

  get recovering(): number {
    return this.#recovering.size
  }

  /**
   * Kills its process; false when it is not online. A machine that dies before its agent has said a
   * word is left to the time-out of its start (`PROVISION_TIMEOUT_SECONDS`): that is not ours to test.
   */
  async kill(member: Member): Promise<boolean> {
    const machine = this.runningMachine(member.id)
    if (machine === undefined) return false
    if (!(await this.#rows.isOnlineOn(member.id, machine.instanceId))) return false
    await machine.kill()
    const now = performance.now()
    member.killedAt.push(now)
    if (member.wanted !== 'online' || this.#recovering.has(member.id)) return true
    this.#recovering.set(member.id, { member, dead: machine, since: now })
    return true
  }

  runningMachine(id: string): Machine | undefined {
    return this.#controlPlane.existing(id).find((machine) => machine.state === 'running')
  }

  /** Something else is wanted of it now: how long a recovery takes cannot be told any more. */
  overtake(member: Member): void {
    if (this.#recovering.delete(member.id)) this.overtaken += 1
  }

  /** Notes who has come back. */
  observe(rows: readonly WorkspaceFacts[]): void {
    for (const row of rows) {
      const recovery = this.#recovering.get(row.id)
      if (recovery === undefined || row.status !== 'online') continue
      const machine = this.runningMachine(row.id)
      if (machine === undefined || machine === recovery.dead) continue
      if (row.instanceId !== machine.instanceId) continue
      this.recoveredMs.push(performance.now() - recovery.since)
      this.#recovering.delete(row.id)
    }
  }
}
