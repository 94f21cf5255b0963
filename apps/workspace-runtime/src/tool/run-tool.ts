/** @module One call of `atrium-agent`, from its arguments to its exit code, without the process. */
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { delegate } from './delegate-command.ts'
import { notify } from './notify-command.ts'
import { peers } from './peers-command.ts'
import { PlatformApi } from './platform-api.ts'
import { send, task } from './send-command.ts'
import { type CommandName, HELP, parseToolArguments, type ToolArguments } from './tool-arguments.ts'
import type { ToolCommand } from './tool-context.ts'
import { EXIT, type ExitCode, ToolFailure } from './tool-failure.ts'
import { toolSettings } from './tool-settings.ts'

const COMMANDS: Readonly<Record<CommandName, ToolCommand>> = { peers, send, task, delegate, notify }
/** Commands that do something, under a key. */
const ACTS: ReadonlySet<CommandName> = new Set(['send', 'delegate', 'notify'])
const MAX_TEXT_BYTES = 1024 * 1024
/** What a peer says must not drive the terminal of whoever reads it. */
const UNPRINTABLE = /[[\p{Cc}\u202a-\u202e\u2066-\u2069]--[\n\t]]/gv

export type ToolWorld = {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: AsyncIterable<Buffer | string>
  readonly write: (text: string) => void
  readonly writeError: (text: string) => void
  readonly signal: AbortSignal
}

/** Whatever went wrong has been said when it resolves. Never rejects for what a caller can do. */
export async function runTool(world: ToolWorld): Promise<ExitCode> {
  try {
    const args = parseToolArguments(world.args)
    if (args !== 'help') return await runCommand(world, args)
    world.write(HELP)
    return EXIT.done
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error
    world.writeError(`atrium-agent: ${error.message.replace(UNPRINTABLE, '')}\n`)
    return error.exitCode
  }
}

async function runCommand(world: ToolWorld, args: ToolArguments): Promise<ExitCode> {
  const deps = { clock: systemClock, ids: systemIds }
  const settings = toolSettings(world.env, deps)
  const { timeoutMs } = args
  const key = args.key ?? systemIds.uuid()
  const api = new PlatformApi({ settings, clock: systemClock, signal: world.signal, timeoutMs })
  try {
    return await COMMANDS[args.command]({
      ...deps,
      args,
      settings,
      api,
      key,
      textOf: (operand) => (operand === '-' ? readAll(world.stdin) : Promise.resolve(operand)),
      say: (text, json) => {
        const line = args.isJson ? JSON.stringify(json) : text.replace(UNPRINTABLE, '')
        world.write(`${line}\n`)
      },
    })
  } catch (error) {
    throw isInDoubt(error, args) ? inDoubt(error, key) : error
  } finally {
    await api.close()
  }
}

/** Whether what was asked may have been done, and would be done twice under another name. */
function isInDoubt(error: unknown, { command, isStatus }: ToolArguments): error is ToolFailure {
  const isAct = ACTS.has(command) && !isStatus
  return isAct && error instanceof ToolFailure && error.exitCode === EXIT.unreachable
}

function inDoubt(error: ToolFailure, key: string): ToolFailure {
  const text = `${error.message}; to try again and have it done once: --key ${key}`
  return new ToolFailure(error.exitCode, text, { cause: error })
}

async function readAll(input: AsyncIterable<Buffer | string>): Promise<string> {
  const pieces: Buffer[] = []
  let total = 0
  for await (const piece of input) {
    const bytes = Buffer.from(piece)
    total += bytes.length
    if (total > MAX_TEXT_BYTES) throw new ToolFailure(EXIT.usage, 'the text is longer than 1 MiB')
    pieces.push(bytes)
  }
  return Buffer.concat(pieces).toString('utf8')
}
