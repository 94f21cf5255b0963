/** @module Who the tool speaks for and to whom, from the environment that the runtime gives a command. */
import { CredentialFile, type CredentialFileDeps } from '../secrets/credential-file.ts'
import { EXIT, ToolFailure } from './tool-failure.ts'

/** Set by the runtime for every command (docs/guides/agent-tool.md). */
export const TOOL_ENV = Object.freeze({
  platformUrl: 'ATRIUM_PLATFORM_URL',
  /** The file, never the value: arguments and environments are for everybody to read. */
  tokenFile: 'ATRIUM_TOKEN_FILE',
  workspaceId: 'WORKSPACE_ID',
  taskId: 'ATRIUM_TASK_ID',
})

export type ToolSettings = {
  readonly platformUrl: string
  readonly workspaceId: string
  /** The task that the agent works on, when it does. */
  readonly taskId: string | undefined
  readonly token: () => string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Throws `ToolFailure` with what is missing. */
export function toolSettings(env: Environment, deps: CredentialFileDeps): ToolSettings {
  const file = new CredentialFile(required(env, TOOL_ENV.tokenFile), deps)
  return {
    platformUrl: required(env, TOOL_ENV.platformUrl).replace(/\/+$/, ''),
    workspaceId: required(env, TOOL_ENV.workspaceId),
    taskId: env[TOOL_ENV.taskId] || undefined,
    token: () => {
      const token = file.current()
      if (token !== undefined) return token
      throw new ToolFailure(EXIT.usage, `there is no token in the file of ${TOOL_ENV.tokenFile}`)
    },
  }
}

function required(env: Environment, name: string): string {
  const value = env[name]
  if (value !== undefined && value !== '') return value
  throw new ToolFailure(EXIT.usage, `${name} is not set: this is for agents inside a workspace`)
}
