/** @module The command line: which commands there are, what they take, and how help reads. */
import { Command, type CommanderError, Option } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { type ConnectOptions, connectCommand } from './commands/connect.ts'
import { downloadCommand } from './commands/download.ts'
import { type LogsOptions, logsCommand } from './commands/logs.ts'
import { type SendOptions, sendCommand } from './commands/send.ts'
import { uploadCommand } from './commands/upload.ts'
import {
  type CreateOptions,
  createCommand,
  cursorName,
  listCommand,
  positiveInteger,
  type RemoveCommandOptions,
  removeCommand,
} from './commands/workspaces.ts'
import { type CliFailure, EXIT, usageFailure } from './failure.ts'
import type { OutputOptions } from './files/download-target.ts'
import { addFiles } from './files-program.ts'
import { addJobControl } from './job-control-program.ts'
import { examples, type GlobalOptions, type RunCommand } from './run-command.ts'

export type ProgramStreams = {
  readonly writeOut: (text: string) => void
  readonly writeErr: (text: string) => void
}

const EXIT_HELP = `
Exit codes:
  0    done
  1    refused, failed, or what arrived is not what was sent
  2    wrong command line, or a local file that cannot be used
  3    no such workspace, or no such file in it
  4    a credential is missing or not accepted
  5    unreachable, silent or busy: the same command may succeed later
  130  interrupted

Environment:
  ATRIUM_URL (or BASE)  the platform; otherwise the one running out of this project,
                        otherwise http://127.0.0.1:8080
  ATRIUM_TOKEN          a workspace token, for send, upload, download, files and connect
  ADMIN_TOKEN           the admin token, for everything
`

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}

/** The whole command tree; parsing throws `CommanderError` instead of ending the process. */
export function createProgram(run: RunCommand, streams: ProgramStreams): Command {
  const program = new Command('atrium')
  program
    .description(
      'Talks to an Atrium platform: workspaces, messages with files, uploads, downloads, a look inside.',
    )
    .version(manifest.version, '-V, --version', 'print the version')
    .option('--url <url>', 'address of the platform')
    .option('--json', 'results as JSON on standard output, errors as JSON on standard error', false)
    .option('-q, --quiet', 'no notices and no progress', false)
    .addOption(
      new Option(
        '--timeout <seconds>',
        'patience with a busy platform, a starting workspace or a thinking agent (default: 600 for send, 120 otherwise); never the length of a transfer',
      ).argParser(positiveInteger('--timeout')),
    )
    .configureHelp({
      showGlobalOptions: true,
      // Defaults stand in the sentences, where they can say what they mean.
      optionDescription: (option) => option.description,
    })
    .configureOutput(streams)
    .exitOverride()
    .addHelpText('after', EXIT_HELP)
  addWorkspaces(program, run)
  addSend(program, run)
  addUpload(program, run)
  addDownload(program, run)
  addFiles(program, run)
  addConnect(program, run)
  return program
}

function addWorkspaces(program: Command, run: RunCommand): void {
  const workspaces = program.command('workspaces').alias('ws').description('list, create, remove')
  workspaces
    .command('ls')
    .description('list the workspaces')
    .addHelpText('after', examples(['atrium workspaces ls', 'atrium workspaces ls --json']))
    .action(async (_options, command: Command) => {
      await run(command.optsWithGlobals(), listCommand)
    })
  workspaces
    .command('create')
    .description('create a workspace and wait until it is online')
    .argument('<name>', 'what to call it')
    .option(
      '--runtime <kind>',
      'echo (default), exec, external (the agent runs elsewhere), or another kind that the platform has',
      'echo',
    )
    .option('--command <program>', 'exec: the program that answers a message')
    .option('--arg <argument>', 'exec: one argument of the program (repeatable)', collect, [])
    .option(
      '--command-timeout <seconds>',
      'exec: longest time for one message',
      positiveInteger('--command-timeout'),
    )
    .option('--tier <number>', 'resource tier', positiveInteger('--tier'))
    .option('--token-file <file>', 'external: keep the workspace token in this new file')
    .option('--no-wait', 'return as soon as it is created')
    .addHelpText(
      'after',
      examples([
        'atrium workspaces create hello',
        'atrium workspaces create csv --runtime exec --command node --arg "$PWD/report.mjs"',
        'atrium workspaces create laptop --runtime external --token-file ~/.laptop-token',
      ]),
    )
    .action(async (name: string, options: CreateOptions, command: Command) => {
      await run(command.optsWithGlobals(), (context) => createCommand(context, name, options))
    })
  addRemove(workspaces, run)
  addLogs(workspaces, run)
  addJobControl(workspaces, run)
}

function addRemove(workspaces: Command, run: RunCommand): void {
  workspaces
    .command('rm')
    .description('remove workspaces with their files')
    .argument('<workspace...>', 'id, beginning of an id, or name')
    .option('--cascade', 'also the workspaces below it', false)
    .option('--no-purge', 'keep the record of it in the database')
    .addHelpText(
      'after',
      examples(['atrium workspaces rm hello', 'atrium workspaces rm 3f2a 91bc']),
    )
    .action(async (names: string[], options: RemoveCommandOptions, command: Command) => {
      await run(command.optsWithGlobals(), (context) => removeCommand(context, names, options))
    })
}

function addLogs(workspaces: Command, run: RunCommand): void {
  workspaces
    .command('logs')
    .description('show the log of a workspace')
    .argument('<workspace>', 'id, beginning of an id, or name')
    .option('-n, --tail <lines>', 'how many lines (default: 100)', positiveInteger('--tail'), 100)
    .option('-f, --follow', 'go on until interrupted', false)
    .addHelpText(
      'after',
      examples(['atrium workspaces logs hello --tail 20', 'atrium workspaces logs hello --follow']),
    )
    .action(async (name: string, options: LogsOptions, command: Command) => {
      await run(command.optsWithGlobals(), (context) => logsCommand(context, name, options))
    })
}

function addSend(program: Command, run: RunCommand): void {
  program
    .command('send')
    .description('send a message with files to the agent of a workspace, and print its answer')
    .argument('<workspace>', 'id, beginning of an id, or name')
    .argument('[text]', 'the message; - reads it from standard input')
    .option('--file <path>', 'a file to attach (repeatable)', collect, [])
    .option('--out <folder>', 'save the files of the answer here, never overwriting')
    .option('--stream', 'print the answer while it is being written', false)
    .option('--context <id>', 'continue the conversation of an earlier answer')
    .addHelpText(
      'after',
      examples([
        'atrium send hello "good morning"',
        'atrium send csv "summarise this" --file sales.csv --out ./answer',
        'git diff | atrium send reviewer - --stream',
      ]),
    )
    .action(async (...given: [string, string | undefined, SendOptions, Command]) => {
      const [name, text, options, command] = given
      const globals = command.optsWithGlobals<GlobalOptions>()
      await run({ ...globals, timeout: globals.timeout ?? 600 }, (context) =>
        sendCommand(context, { workspace: name, text }, options),
      )
    })
}

function addUpload(program: Command, run: RunCommand): void {
  program
    .command('upload')
    .description('upload files into a workspace, and print where they are')
    .argument('<workspace>', 'id, beginning of an id, or name')
    .argument('<file...>', 'local files')
    .addHelpText('after', examples(['atrium upload hello report.pdf photo.png --json']))
    .action(async (...[name, files, , command]: [string, string[], object, Command]) => {
      await run(command.optsWithGlobals(), (context) => uploadCommand(context, name, files))
    })
}

function addDownload(program: Command, run: RunCommand): void {
  program
    .command('download')
    .description('download a file of a workspace; a broken download is continued by the next run')
    .argument('<workspace>', 'id, beginning of an id, or name')
    .argument('<path-or-uri>', 'such as /workspace/report.md or workspace:/workspace/report.md')
    .option('-o, --output <file>', 'a file, a folder, or - for standard output')
    .option('--force', 'overwrite the output', false)
    .addHelpText(
      'after',
      examples([
        'atrium download hello /workspace/report.md',
        'atrium download hello workspace:/workspace/big.tar -o big.tar',
        'atrium download hello /workspace/data.csv -o - | head',
      ]),
    )
    .action(async (...given: [string, string, OutputOptions, Command]) => {
      const [workspace, uriOrPath, options, command] = given
      await run(command.optsWithGlobals(), (context) =>
        downloadCommand(context, { workspace, uriOrPath }, options),
      )
    })
}

function addConnect(program: Command, run: RunCommand): void {
  program
    .command('connect')
    .description('answer the messages of a workspace from this computer, without a public address')
    .argument('<workspace>', 'id, beginning of an id, or name')
    .option(
      '--exec <command>',
      'run this for each message: text on standard input, answer on output',
    )
    .option(
      '--forward <url>',
      'send each message to this A2A endpoint, such as http://127.0.0.1:9000',
    )
    .option('--token-file <file>', 'file with the workspace token (default: ATRIUM_TOKEN)')
    .option('--name <name>', 'what the agent is called (default: the name of this computer)')
    .option('--card <file>', 'its agent card, JSON')
    .option(
      '--concurrency <number>',
      'messages that are answered at once (default: 1, in their order)',
      positiveInteger('--concurrency'),
      1,
    )
    .option(
      '--command-timeout <seconds>',
      'exec: longest time for one message',
      positiveInteger('--command-timeout'),
    )
    .option('--from-start', 'begin with the oldest message that the platform still has', false)
    .option(
      '--cursor <name>',
      'let the platform keep how far it came, for computers that remember nothing',
      cursorName('--cursor'),
    )
    .option('--once', 'answer what is there, then end', false)
    .addHelpText(
      'after',
      examples([
        'atrium connect laptop --exec ./agent.sh --token-file ~/.laptop-token',
        "atrium connect laptop --exec 'claude -p'",
        'atrium connect laptop --forward http://127.0.0.1:9000 --concurrency 4',
      ]),
    )
    .action(async (name: string, options: ConnectOptions, command: Command) => {
      await run({ ...command.optsWithGlobals<GlobalOptions>(), drains: true }, (context) =>
        connectCommand(context, name, options),
      )
    })
}

/** The exit code of what commander threw: help that was asked for is fine, the rest is usage. */
export function commanderExitCode(error: CommanderError): number {
  const isFine = error.code === 'commander.helpDisplayed' || error.code === 'commander.version'
  return isFine ? EXIT.ok : EXIT.usage
}

/** What commander threw about a wrong command line, as a failure. */
export function commanderFailure(error: CommanderError): CliFailure {
  // It has shown its help and has nothing to say besides.
  if (error.code === 'commander.help') return usageFailure('no command was given')
  return usageFailure(error.message.replace(/^error: /, ''))
}
