/** @module What every command of the tool works with. */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { PlatformApi } from './platform-api.ts'
import type { ToolArguments } from './tool-arguments.ts'
import type { ExitCode } from './tool-failure.ts'
import type { ToolSettings } from './tool-settings.ts'

export type ToolContext = {
  readonly args: ToolArguments
  readonly settings: ToolSettings
  readonly api: PlatformApi
  /** What the message is known by: given with --key, or made for this call. */
  readonly key: string
  readonly clock: Clock
  readonly ids: Ids
  /** The text of an operand; `-` is standard input. */
  readonly textOf: (operand: string) => Promise<string>
  /** `json` with --json, else the text, without what would drive a terminal. */
  readonly say: (text: string, json: unknown) => void
}

export type ToolCommand = (context: ToolContext) => Promise<ExitCode>
