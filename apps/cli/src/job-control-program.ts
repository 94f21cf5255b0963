/** @module `atrium workspaces job-control ...` on the command line. */
import type { Command } from 'commander'
import {
  removeJobControlCommand,
  type SetJobControlOptions,
  setJobControlCommand,
  showJobControlCommand,
} from './commands/job-control.ts'
import { examples, type GlobalOptions, type RunCommand } from './run-command.ts'

const WORKSPACE_HELP = 'id, beginning of an id, or name'

export function addJobControl(workspaces: Command, run: RunCommand): void {
  const control = workspaces
    .command('job-control')
    .description('where the sessions of a workspace are read over job control (admin)')
  control
    .command('set')
    .description('read the sessions of a workspace over this job-control host')
    .argument('<workspace>', WORKSPACE_HELP)
    // Not --url: that is the platform, everywhere.
    .requiredOption('--host <url>', 'address of the job-control host')
    .requiredOption('--token-file <file>', 'file with its token; - reads it from standard input')
    .addHelpText(
      'after',
      examples([
        'atrium workspaces job-control set lab --host https://lab.example:8022 --token-file token',
        'pass show lab | atrium workspaces job-control set lab --host http://10.0.0.7:8022 --token-file -',
      ]),
    )
    .action(async (name: string, options: SetJobControlOptions, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        setJobControlCommand(context, name, options),
      )
    })
  control
    .command('show')
    .description('print the address that is set; the token is never told again')
    .argument('<workspace>', WORKSPACE_HELP)
    .addHelpText('after', examples(['atrium workspaces job-control show lab']))
    .action(async (name: string, _options, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        showJobControlCommand(context, name),
      )
    })
  control
    .command('rm')
    .description('read the sessions of a workspace from its own runtime again')
    .argument('<workspace>', WORKSPACE_HELP)
    .addHelpText('after', examples(['atrium workspaces job-control rm lab']))
    .action(async (name: string, _options, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        removeJobControlCommand(context, name),
      )
    })
}
