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

/** How far a box keeps its agent from everything else on its machine. */
export type Isolation = 'process' | 'sandbox' | 'container' | 'machine'

export type StartResult = {
  /**
   * Base URL at which the platform reaches the runtime; trusted by provenance. null where the
   * back-end does not know the port: the agent tells it, and `address` bounds what it may say.
   */
  readonly endpointUrl: string | null
  /** The only host of an agent-reported URL that is believed while `endpointUrl` is null. */
  readonly address: string | null
  /** The back-end's own name for the box, handed back in every `BoxRef`; null where it needs none. */
  readonly instanceId: string | null
  readonly isolation: Isolation
}

/** Which box is meant. */
export type BoxRef = {
  readonly workspaceId: string
  /** From the `StartResult`, while it is known. */
  readonly instanceId?: string | null
  /**
   * Only a box of this generation or of an older one is meant: a newer one is the work of whoever
   * has taken over, and stays. A back-end that names its boxes itself goes by `instanceId`.
   */
  readonly generation?: number
}

/** A box as the back-end knows it, whatever the database says. */
export type ListedBox = {
  readonly workspaceId: string
  /** undefined where the back-end cannot tell. */
  readonly generation: number | undefined
  readonly instanceId: string | null
  readonly isRunning: boolean
}

/** A box ended without `stop` having been asked for. */
export type UnexpectedExit = {
  readonly workspaceId: string
  readonly generation: number
  /** For operators: `exit code 1`, `signal SIGKILL`. */
  readonly reason: string
}

export const PROVISIONER_NAMES = ['none', 'process', 'docker', 'control-plane'] as const
export type ProvisionerName = (typeof PROVISIONER_NAMES)[number]

export interface Provisioner {
  readonly name: ProvisionerName

  /** Prepares the back-end: takes over or ends what an earlier, crashed platform left behind. */
  open(): Promise<void>

  /**
   * The machine that its boxes and volumes are bound to, stable over restarts: they end with this
   * platform and only it can start them again. null where every replica reaches the same ones, and
   * boxes outlive the platform. Asked for after `open`.
   */
  readonly hostId: string | null

  /**
   * Starts the workspace's box and resolves when its HTTP server listens (or, without an
   * `endpointUrl`, when the back-end has accepted it). A box of an older generation is replaced,
   * which is no unexpected exit; while one of the same or a newer generation runs, the start is
   * refused (`started already`) and that one left alone. Throws AppError
   * `provisioner_unavailable` when there is no back-end; any other error means the start failed and
   * nothing of it is left running.
   */
  start(input: StartInput, signal: AbortSignal): Promise<StartResult>

  /** Ends the box with everything in it. Not running is success. Waits until it is gone. */
  stop(box: BoxRef): Promise<void>

  /** Whether the box runs. An unknown workspace is `false`; a back-end error throws: alive, then. */
  isRunning(box: BoxRef): Promise<boolean>

  /**
   * A regular file of the running box by its path on the wire (`/configs/config.yaml`), by the rules
   * for clients. undefined when none is there: nothing, a folder, a link, a FIFO, a credential by
   * whatever name; and always where the back-end has no place for it. Throws when the box does not
   * run, when the path is not one of the wire (AppError), and when the file is larger than
   * `maxBytes`: half a configuration is worse than none.
   */
  execRead(box: BoxRef, path: string, maxBytes: number): Promise<Uint8Array | undefined>

  /**
   * Whether the workspace's volume holds a regular file at `path`, relative to `/configs`, running
   * or not; credentials count. Without a volume, or a place for one, false. Throws AppError for a
   * path that is not one of the wire.
   */
  volumeHasFile(box: BoxRef, path: string): Promise<boolean>

  /** Removes everything the workspace stored. Throws unless stopped; nothing there is success. */
  removeVolume(box: BoxRef): Promise<void>

  /**
   * Writes `/configs/.auth_token` of the running or stopped box, 0600 and whole at every moment.
   * Resolves false when the workspace has no volume, or the back-end no place for it.
   */
  writeAuthToken(box: BoxRef, authToken: Secret): Promise<boolean>

  /**
   * Writes a new inbound secret into the running or stopped box (contract/platform 13.18), likewise.
   */
  writeInboundSecret(box: BoxRef, inboundSecret: Secret): Promise<boolean>

  /** The last `maxBytes` of the box's console output; empty when there is none. */
  readConsole(box: BoxRef, maxBytes: number): Promise<string>

  /**
   * Every box and every volume without one that the back-end holds for this platform, each
   * workspace once. Empty where the back-end cannot tell.
   */
  listBoxes(): Promise<readonly ListedBox[]>

  /** Called for every box that ends by itself. One listener; set once before the first start. */
  onUnexpectedExit(listener: (exit: UnexpectedExit) => void): void

  /** Releases the back-end; boxes of this host (`hostId`) are stopped first. Idempotent. */
  close(): Promise<void>
}
