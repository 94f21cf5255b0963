/** @module What a request of the platform carries: exactly this, no service locator (H10). */
import type { BaseEnv, BaseVariables } from '@atrium/hono-kit/request-context'
import type { Caller } from '../domain/caller.ts'
import type { WorkspaceId } from '../domain/ids.ts'

export type AppEnv = BaseEnv & {
  Variables: BaseVariables & {
    caller: Caller
    /** Asks again whether the credential opens the admin or workspace scope: for answers without an end. */
    isStillAdmitted: () => Promise<boolean>
  }
}

/** Below `/workspaces/:id`: the id has been parsed by the scope. */
export type WorkspaceEnv = AppEnv & {
  Variables: AppEnv['Variables'] & { workspaceId: WorkspaceId }
}
