/** @module The command line of the tool. */
import { parseArgs } from 'node:util'
import { EXIT, ToolFailure } from './tool-failure.ts'

export const HELP = `atrium-agent: talk to the other agents of this platform, with this workspace's own token

  atrium-agent peers [--query <text>]         who is there
  atrium-agent send <peer> <text>             ask, and wait for the answer
  atrium-agent task <peer> <task id>          ask for the answer of a message that was sent before
  atrium-agent delegate <peer> <text>         hand over, and go on; prints the id of the delegation
  atrium-agent delegate --status [<id>]       what became of it, or of the last ones
  atrium-agent notify <text>                  say something to the people of this workspace

<peer> is a name or an id. <text> may be "-": it is read from standard input then.

  --json               one JSON object (peers, delegate --status: a list) instead of text
  --timeout <seconds>  give up after so long (default 600)
  --key <text>         a name for this very message: the same one is not done twice
  --context <id>       send: go on with a conversation
  --no-wait            send: do not wait for what is queued or worked on
  --attach <path>      notify: a file for them; may be given again
  --help               this text

exit codes: 0 done  1 refused or failed  2 wrong command line  3 taken, no answer yet
            4 no such peer  5 not reached, or not in time: try again with the --key it names
`

const COMMANDS = ['peers', 'send', 'task', 'delegate', 'notify'] as const
export type CommandName = (typeof COMMANDS)[number]

export type ToolArguments = {
  readonly command: CommandName
  readonly operands: readonly string[]
  readonly isJson: boolean
  readonly timeoutMs: number
  readonly key: string | undefined
  readonly contextId: string | undefined
  readonly waits: boolean
  readonly attachments: readonly string[]
  readonly isStatus: boolean
  readonly query: string | undefined
}

const DEFAULT_TIMEOUT_SECONDS = 600
const MAX_TIMEOUT_SECONDS = 86_400
/** How many words may follow the command. */
const OPERANDS: Readonly<Record<CommandName, readonly [least: number, most: number]>> = {
  peers: [0, 0],
  send: [2, 2],
  task: [2, 2],
  delegate: [2, 2],
  notify: [1, 1],
}

/** What was asked for, or `help`. Throws `ToolFailure` with what is wrong. */
export function parseToolArguments(args: readonly string[]): ToolArguments | 'help' {
  const { values, positionals } = parsed(args)
  const [name, ...operands] = positionals
  if (values.help === true || (name === undefined && args.length === 0)) return 'help'
  const command = COMMANDS.find((each) => each === name)
  if (command === undefined) throw usage(`no such command: ${name ?? ''}`)
  const isStatus = values.status === true
  if (isStatus && command !== 'delegate') throw usage('--status belongs to delegate')
  checkOperands(command, operands.length, isStatus ? [0, 1] : OPERANDS[command])
  return {
    command,
    operands,
    isStatus,
    isJson: values.json === true,
    timeoutMs: secondsOf(values.timeout) * 1_000,
    key: values.key,
    contextId: values.context,
    waits: values['no-wait'] !== true,
    attachments: values.attach ?? [],
    query: values.query,
  }
}

function checkOperands(
  command: CommandName,
  count: number,
  [least, most]: readonly [number, number],
): void {
  if (count >= least && count <= most) return
  throw usage(`${command} takes ${least === most ? least : `${least} to ${most}`} arguments`)
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        status: { type: 'boolean' },
        'no-wait': { type: 'boolean' },
        timeout: { type: 'string' },
        key: { type: 'string' },
        context: { type: 'string' },
        query: { type: 'string' },
        attach: { type: 'string', multiple: true },
      },
    })
  } catch (error) {
    throw usage(error instanceof Error ? error.message : 'wrong command line')
  }
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_SECONDS
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (seconds < 1 || seconds > MAX_TIMEOUT_SECONDS) {
    throw usage(`--timeout is a number of seconds from 1 to ${MAX_TIMEOUT_SECONDS}`)
  }
  return seconds
}

function usage(text: string): ToolFailure {
  return new ToolFailure(EXIT.usage, `${text} (atrium-agent --help)`)
}
