import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { isRunning } from '../support/process-probe.ts'
import { runProcess } from '../support/run-process.ts'
import { sendSignal } from '../support/send-signal.ts'

/** A project that lacks one package, with a space in its path. */
let project: string
let shell: ChildProcess | undefined

beforeEach(async () => {
  project = join(await mkdtemp(join(tmpdir(), 'atrium-bootstrap-')), 'a clone')
  for (const folder of ['scripts', 'apps/platform/src', 'npm']) {
    mkdirSync(join(project, folder), { recursive: true })
  }
  for (const path of ['scripts/bootstrap.mjs', 'scripts/command-help.mjs']) {
    copyFileSync(join(PROJECT_ROOT, path), join(project, path))
  }
  const { scripts } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ scripts }))
  const packages = { 'node_modules/missing': { version: '1.0.0' } }
  writeFileSync(join(project, 'package-lock.json'), JSON.stringify({ packages }))
  writeFileSync(
    join(project, 'apps/platform/src/main.ts'),
    `import { writeFileSync } from 'node:fs'\nwriteFileSync('started', '')\n`,
  )
})
afterEach(async () => {
  if (shell?.pid !== undefined) sendSignal(-shell.pid, 'SIGKILL')
  shell = undefined
  await rm(join(project, '..'), { recursive: true, force: true })
})

/** Runs `npm start` with an npm that says who it is and, when it is let, installs nothing. */
function startWith(npm: 'installs' | 'hangs') {
  const path = join(project, 'npm', 'npm-cli.js')
  const rest = npm === 'hangs' ? 'setInterval(() => {}, 1000)' : ''
  writeFileSync(
    path,
    `const { writeFileSync } = require('node:fs')
     writeFileSync('installing', process.pid + ' ' + process.ppid + ' ' + process.argv[2])\n${rest}`,
  )
  // As npm does it, whatever the shell: the shell stays between npm and us.
  const command = `'${process.execPath}' scripts/bootstrap.mjs start; exit $?`
  const child = spawn('sh', ['-c', command], {
    cwd: project,
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] ?? '', npm_lifecycle_event: 'start', npm_execpath: path },
  })
  shell = child
  return child
}

type Installation = { readonly npm: number; readonly bootstrap: number; readonly command: string }

async function installation(): Promise<Installation> {
  const text = await eventually(() => {
    const path = join(project, 'installing')
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    return text !== '' && text
  })
  const [npm, bootstrap, command = ''] = text.split(' ')
  return { npm: Number(npm), bootstrap: Number(bootstrap), command }
}

describe('bootstrap.mjs, when something has to be installed', () => {
  it('has it installed by the npm that called it, then starts', async () => {
    const child = startWith('installs')
    const [exitCode] = await once(child, 'exit')
    expect(exitCode).toBe(0)
    expect((await installation()).command).toBe('ci')
    expect(existsSync(join(project, 'started'))).toBe(true)
  })

  it('starts nothing when the npm above it ends meanwhile, and ends the installation', async () => {
    const child = startWith('hangs')
    const { npm, bootstrap } = await installation()
    child.kill('SIGKILL')
    await eventually(() => !isRunning(npm) && !isRunning(bootstrap))
    expect(existsSync(join(project, 'started'))).toBe(false)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends the installation on %s, and with %i', async (signal, exitCode) => {
    const child = startWith('hangs')
    const ended = once(child, 'exit')
    const { npm, bootstrap } = await installation()
    sendSignal(bootstrap, signal)
    expect((await ended)[0]).toBe(exitCode)
    expect(isRunning(npm)).toBe(false)
    expect(existsSync(join(project, 'started'))).toBe(false)
  })
})

describe('bootstrap.mjs, before anything is installed', () => {
  // An installation, should one begin, fails at once.
  const inProject = () => ({ cwd: project, env: { npm_config_offline: 'true' } })

  it.each([
    [['start'], ['PORT', 'DATABASE_URL', 'ATRIUM_DATA_DIR', 'ADMIN_TOKEN', 'ATRIUM_MODE']],
    [
      ['run', 'dev'],
      ['PORT', 'DATABASE_URL', 'ATRIUM_DATA_DIR', 'ADMIN_TOKEN', 'ATRIUM_MODE'],
    ],
    [['test'], ['DATABASE_URL']],
  ])('explains npm %j with its variables, and starts nothing', async (command, variables) => {
    const run = await runProcess('npm', ['--silent', ...command, '--', '--help'], inProject())
    expect(run).toMatchObject({ exitCode: 0, stderr: '' })
    expect(run.stdout).toContain(`Usage: npm ${command.join(' ')}`)
    const listed = [...run.stdout.matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name]) => name)
    expect(listed).toEqual(variables)
    const documented = readFileSync(join(PROJECT_ROOT, 'docs/configuration.md'), 'utf8')
    for (const name of variables) expect(documented).toContain(`\`${name}\``)
    expect(run.stdout).toContain('docs/configuration.md')
    expect(existsSync(join(project, 'node_modules'))).toBe(false)
    expect(existsSync(join(project, 'started'))).toBe(false)
  })

  it('knows every stage of the tests', async () => {
    const [help, refused] = await Promise.all(
      ['--help', 'no-such-stage'].map((argument) =>
        runProcess(process.execPath, [
          join(PROJECT_ROOT, 'scripts/bootstrap.mjs'),
          'test',
          argument,
        ]),
      ),
    )
    expect(refused?.exitCode).toBe(2)
    const stages = /there are: (.*)/.exec(refused?.stderr ?? '')?.[1] ?? 'none'
    expect(help?.stdout).toContain(`Stages: ${stages}\n`)
  })

  it.each(['start', 'dev'])('refuses an argument of %s that it does not know', async (command) => {
    const args = ['scripts/bootstrap.mjs', command, '--port=1']
    const run = await runProcess(process.execPath, args, inProject())
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(`unknown argument of ${command}: --port=1`)
    expect(existsSync(join(project, 'started'))).toBe(false)
  })
})
