/** @module A bell that the test rings, which sees whether it was heard. */
import type { Logger } from 'pino'
import type { DatabaseClient } from '../../apps/platform/src/db/client.ts'
import { ActivityBell, type BellRope } from '../../apps/platform/src/services/activity-bell.ts'

/** For one workspace and one who waits. */
export class WatchedBell extends ActivityBell {
  ring = (): void => undefined
  #rope: BellRope | undefined

  constructor(log: Logger, workspaceId: string) {
    const listen: DatabaseClient['listen'] = (_, { payload }) => {
      this.ring = () => payload(workspaceId)
    }
    super({ log, listen })
  }

  override hold(...given: Parameters<ActivityBell['hold']>): BellRope {
    this.#rope = super.hold(...given)
    return this.#rope
  }

  get hasRung(): boolean | undefined {
    return this.#rope?.signal.aborted
  }
}
