/**
 * @module The one interface through which a workspace gets a box (contract/platform 7.4,
 * design/architecture 4). Only `services/workspace-lifecycle.ts` imports this folder (H3).
 *
 * Exactly one instance is injected, never null: absence is `NoProvisioner` (H38).
 */
import type { Secret } from '@atrium/http-kit/secret'

/** Everything a back-end needs to start one workspace. Secrets never appear in argv or logs. */
export type StartInput = {
  readonly workspaceId: string
  /** Raised by one for every start; a box of an older generation is obsolete. */
  readonly generation: number
  readonly runtimeKind: string
  readonly tier: number
  /** Files to place under `/configs` before the start, by relative path. */
  readonly configFiles: ReadonlyMap<string, Uint8Array>
  /** The environment of contract/platform 7.5, without credentials. */
  readonly env: Readonly<Record<string, string>>
  /** The workspace's own secrets (provider keys), added to its environment. */
  readonly secretEnv: Readonly<Record<string, Secret>>
  readonly credentials: WorkspaceCredentials
}

/** Written into the box before start, 0600: `/configs/.auth_token`, `/configs/.platform_inbound_secret`. */
export type WorkspaceCredentials = {
  readonly authToken: Secret
  readonly inboundSecret: Secret
}

export type StartResult = {
  /** Base URL at which the platform reaches the runtime; trusted by provenance. */
  readonly endpointUrl: string
}

/** A box ended without `stop` having been asked for. */
export type UnexpectedExit = {
  readonly workspaceId: string
  readonly generation: number
  /** For operators: `exit code 1`, `signal SIGKILL`. */
  readonly reason: string
}

export interface Provisioner {
  readonly name: 'none' | 'process'

  /** Prepares the back-end: takes over or ends what an earlier, crashed platform left behind. */
  open(): Promise<void>

  /**
   * Starts the workspace's box and resolves when its HTTP server listens.
   * Throws AppError `provisioner_unavailable` when there is no back-end; any other error means the
   * start failed and nothing of it is left running.
   */
  start(input: StartInput, signal: AbortSignal): Promise<StartResult>

  /** Ends the box with its whole process group. Not running is success. Waits until it is gone. */
  stop(workspaceId: string): Promise<void>

  /** Whether the box runs. An unknown workspace is `false`; a back-end error throws. */
  isRunning(workspaceId: string): Promise<boolean>

  /** Removes everything the workspace stored. Only after `stop`; nothing there is success. */
  removeVolume(workspaceId: string): Promise<void>

  /**
   * Writes a new inbound secret into the running or stopped box (contract/platform 13.18).
   * Resolves false when the back-end has no place for it.
   */
  writeInboundSecret(workspaceId: string, inboundSecret: Secret): Promise<boolean>

  /** The last `maxBytes` of the box's console output; empty when there is none. */
  readConsole(workspaceId: string, maxBytes: number): Promise<string>

  /** Called for every box that ends by itself. One listener; set once before the first start. */
  onUnexpectedExit(listener: (exit: UnexpectedExit) => void): void

  /** Stops every box and releases the back-end. Idempotent. */
  close(): Promise<void>
}
