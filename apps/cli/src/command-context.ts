/** @module Everything a command needs, put together once per invocation. */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { PlatformClient } from './http/platform-client.ts'
import type { Credentials } from './platform/credentials.ts'
import type { Terminal } from './terminal/terminal.ts'

export type CommandContext = {
  readonly client: PlatformClient
  readonly credentials: Credentials
  readonly terminal: Terminal
  readonly clock: Clock
  readonly ids: Ids
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal
  /** How long a busy platform is asked again, and how long an answer may take to begin. */
  readonly budgetMs: number
  /** Paths on the command line are relative to this folder. */
  readonly cwd: string
  readonly pid: number
  readonly isAlive: (pid: number) => boolean
  /** Where a command may keep what it has to remember (XDG: state, not configuration). */
  readonly stateDir: string
  /** For commands that are run on behalf of the user; holds no credential of a platform. */
  readonly childEnv: Readonly<Record<string, string>>
  /** Called when the user insists on ending now: synchronous, for what must not stay behind. */
  readonly lastResort: Set<() => void>
  /** Standard input as text, for `send <workspace> -`. */
  readonly readStdin: () => Promise<string>
}
