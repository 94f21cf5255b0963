/** @module `atrium files ...` on the command line: looking into a workspace, never changing it. */
import { type Command, Option } from 'commander'
import { type CatOptions, catCommand } from './commands/files-cat.ts'
import { type GetFileOptions, getFileCommand } from './commands/files-get.ts'
import { type ListFilesOptions, listFilesCommand } from './commands/files-ls.ts'
import { type ArchiveOptions, archiveCommand } from './commands/files-tar.ts'
import { positiveInteger } from './commands/workspaces.ts'
import { archiveFormat } from './files/archive-source.ts'
import { examples, type GlobalOptions, type RunCommand } from './run-command.ts'

const PLACE_HELP = `
The first colon ends the workspace (an id, the beginning of one, or a name; one with a colon in its
name is named by its id). A path that does not begin with / is below /workspace; a / at its end means
nothing.
`

const SESSION_PLACE_HELP = 'With --session it is relative to the folder of that session.\n'

const LOCATION = '<workspace:path>'
const LOCATION_HELP = 'such as hello:report.md or hello:/configs/config.yaml'
const SESSION_HELP = 'look into the folder of this session (seven digits of lower-case hex)'

export function addFiles(program: Command, run: RunCommand): void {
  const files = program.command('files').description('look into a workspace: list, show, fetch')
  addList(files, run)
  addCat(files, run)
  addGet(files, run)
  addArchive(files, run)
}

function addList(files: Command, run: RunCommand): void {
  files
    .command('ls')
    .description('list a folder, one name on a line, sorted by the bytes of the names')
    .argument(LOCATION, 'such as hello or hello:/workspace/reports')
    .option('-l, --long', 'mode, size, time of change and name', false)
    .option('-F, --classify', '/ behind folders and @ behind links (default on a terminal)', false)
    .option('-p, --slash', '/ behind folders', false)
    .option('-1, --one', 'one name on a line, which is so anyway', false)
    .option(
      '-0, --zero',
      'end names with NUL: for names with line feeds, which are ? otherwise',
      false,
    )
    .option('--bytes', 'with -l: sizes in bytes', false)
    .option('--limit <count>', 'stop after so many entries', positiveInteger('--limit'))
    .option('--session <id>', SESSION_HELP)
    .addHelpText('after', PLACE_HELP + SESSION_PLACE_HELP)
    .addHelpText(
      'after',
      examples([
        'atrium files ls hello',
        'atrium files ls -l hello:/workspace/reports',
        'atrium files ls hello:big --json --limit 100 | jq -r .name',
        'atrium files ls hello:reports --session 3f2a91b',
      ]),
    )
    .action(async (location: string, options: ListFilesOptions, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        listFilesCommand(context, location, options),
      )
    })
}

function addCat(files: Command, run: RunCommand): void {
  files
    .command('cat')
    .description('print a file: its bytes into a pipe, its text onto a terminal')
    .argument(LOCATION, LOCATION_HELP)
    .option('--head <bytes>', 'only its first bytes, as text', positiveInteger('--head'))
    .option(
      '--tail <bytes>',
      'only its last bytes (at most 1 MiB), as text',
      positiveInteger('--tail'),
    )
    .option(
      '-n, --lines <count>',
      'only its first lines, as text; with --tail the last ones',
      positiveInteger('--lines'),
    )
    .option('--session <id>', SESSION_HELP)
    .addHelpText('after', PLACE_HELP + SESSION_PLACE_HELP)
    .addHelpText(
      'after',
      examples([
        'atrium files cat hello:notes.md',
        'atrium files cat hello:data.csv | wc -l',
        'atrium files cat hello:server.log --tail 65536 -n 20',
      ]),
    )
    .action(async (location: string, options: CatOptions, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        catCommand(context, location, options),
      )
    })
}

function addGet(files: Command, run: RunCommand): void {
  files
    .command('get')
    .description('fetch a file; a broken transfer is continued by the next run')
    .argument(LOCATION, LOCATION_HELP)
    .option('-o, --output <file>', 'a file, a folder, or - for standard output')
    .option('--force', 'overwrite the output', false)
    .option('--session <id>', SESSION_HELP)
    .addHelpText('after', PLACE_HELP + SESSION_PLACE_HELP)
    .addHelpText(
      'after',
      examples([
        'atrium files get hello:report.pdf',
        'atrium files get hello:/home/agent/model.bin -o /srv/models/',
        'atrium files get hello:result.json --session 3f2a91b -o - | jq .',
      ]),
    )
    .action(async (location: string, options: GetFileOptions, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        getFileCommand(context, location, options),
      )
    })
}

function addArchive(files: Command, run: RunCommand): void {
  files
    .command('tar')
    .description('fetch a folder as one archive, without links and special files')
    .argument(LOCATION, 'such as hello or hello:/workspace/reports')
    .option('-o, --output <file>', 'a file, a folder, or - for standard output')
    .addOption(
      new Option(
        '--format <format>',
        'tar, tar.gz or zip (default: what the name of the output says, otherwise tar)',
      ).argParser(archiveFormat),
    )
    .option('--force', 'overwrite the output', false)
    .addHelpText('after', PLACE_HELP)
    .addHelpText(
      'after',
      examples([
        'atrium files tar hello -o hello.tar.gz',
        'atrium files tar hello:reports -o - | tar -x',
        'atrium files tar hello:/home --format zip',
      ]),
    )
    .action(async (location: string, options: ArchiveOptions, command: Command) => {
      await run(command.optsWithGlobals<GlobalOptions>(), (context) =>
        archiveCommand(context, location, options),
      )
    })
}
