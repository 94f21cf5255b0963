/**
 * @module The ten statuses of a workspace and every move between them (contract/platform 7.3).
 * `transitionWorkspace` in `db/workspace-store.ts` is the only writer and obeys this table (H22).
 */

export const WORKSPACE_STATUSES = [
  'provisioning',
  'online',
  'offline',
  'degraded',
  'failed',
  'removed',
  'paused',
  'hibernated',
  'awaiting_agent',
  'hibernating',
] as const

export type WorkspaceStatus = (typeof WORKSPACE_STATUSES)[number]

/**
 * From -> to. `removed` is final. A suspended workspace (paused, hibernating, hibernated) comes
 * back only when it is asked to: a stray register or heartbeat must not wake it (wart W12).
 */
export const TRANSITIONS: Readonly<Record<WorkspaceStatus, readonly WorkspaceStatus[]>> =
  Object.freeze({
    // To itself: a new start takes over from one that has not come up.
    provisioning: [
      'provisioning',
      'online',
      'awaiting_agent',
      'offline',
      'failed',
      'paused',
      'removed',
    ],
    online: [
      'degraded',
      'offline',
      'awaiting_agent',
      'provisioning',
      'paused',
      'hibernating',
      'removed',
    ],
    offline: ['online', 'provisioning', 'failed', 'paused', 'removed'],
    degraded: [
      'online',
      'offline',
      'awaiting_agent',
      'provisioning',
      'paused',
      'hibernating',
      'removed',
    ],
    failed: ['online', 'provisioning', 'paused', 'removed'],
    removed: [],
    // An external agent comes back by itself.
    paused: ['provisioning', 'awaiting_agent', 'removed'],
    hibernated: ['provisioning', 'paused', 'removed'],
    awaiting_agent: ['online', 'provisioning', 'paused', 'removed'],
    hibernating: ['hibernated', 'provisioning', 'paused', 'removed'],
  })

/** Every status from which `to` may be entered. */
export function sourcesOf(to: WorkspaceStatus): readonly WorkspaceStatus[] {
  return WORKSPACE_STATUSES.filter((from) => TRANSITIONS[from].includes(to))
}
