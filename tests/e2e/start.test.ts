import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { keepForAudit } from '../support/keep-for-audit.ts'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { type KnownProcess, processTree, stillRunning } from '../support/process-tree.ts'
import { runProcess } from '../support/run-process.ts'
import { runLogPath } from '../support/secret-ledger.ts'
import { sendSignal } from '../support/send-signal.ts'

const BOOTSTRAP = join(PROJECT_ROOT, 'scripts/bootstrap.mjs')
const BY_NPM = ['npm', 'start', '--silent'] as const
/** A terminal of its own; killing `script` closes it. */
const IN_A_TERMINAL = ['script', '--quiet', '--flush', '--command'] as const
const DIRECTLY = [process.execPath, BOOTSTRAP, 'start'] as const

let dataDir: string
let seen: KnownProcess[]
let launched: ChildProcess[]

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'atrium-start-'))
  seen = []
  launched = []
})
afterEach(async () => {
  // What a failed test has not looked at runs all the same.
  for (const { pid, exitCode, signalCode } of launched) {
    if (pid !== undefined && exitCode === null && signalCode === null)
      seen.push(...processTree(pid))
  }
  for (const { pid } of stillRunning(seen)) sendSignal(pid, 'SIGKILL')
  await eventually(() => stillRunning(seen).length === 0)
  await keepForAudit(dataDir)
  await rm(dataDir, { recursive: true, maxRetries: 10 })
})

type Started = {
  readonly url: string
  readonly child: ChildProcess
  readonly output: () => string
  /** What runs now, from the command we gave down to the database and the workspaces. */
  tree(): KnownProcess[]
  ended(): Promise<number | null>
}

/** As in a terminal: the command leads a process group of its own. */
function launch(command: readonly string[]): Omit<Started, 'url'> {
  const [file = '', ...args] = command
  const logPath = runLogPath('npm-start')
  const log = openSync(logPath, 'a')
  const child = spawn(file, args, {
    cwd: PROJECT_ROOT,
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      ATRIUM_DATA_DIR: dataDir,
      PORT: '0',
    },
  })
  closeSync(log)
  launched.push(child)
  return {
    child,
    output: () => readFileSync(logPath, 'utf8'),
    tree() {
      const found = processTree(child.pid ?? 0)
      seen.push(...found)
      return found
    },
    async ended() {
      await eventually(() => child.exitCode !== null || child.signalCode !== null, 30_000)
      return child.exitCode
    },
  }
}

async function start(command: readonly string[] = DIRECTLY): Promise<Started> {
  const launched = launch(command)
  const url = await eventually(() => {
    if (launched.child.exitCode !== null) throw new Error(launched.output())
    return /listening on (http:\S+)/.exec(launched.output())?.[1]
  }, 60_000)
  return { ...launched, url }
}

async function createWorkspace(url: string, name: string): Promise<void> {
  const response = await fetch(`${url}/workspaces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, runtime: 'echo' }),
  })
  expect(response.status, await response.text()).toBe(201)
}

type Row = { readonly name: string; readonly status: string }

async function workspaces(url: string): Promise<Row[]> {
  return (await (await fetch(`${url}/workspaces`)).json()) as Row[]
}

const isOnline = (url: string) =>
  eventually(async () => (await workspaces(url)).every(({ status }) => status === 'online'), 30_000)

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) throw new Error('nothing was started')
  process.kill(pid, name)
}

/** The platform itself, below whatever started it. */
function platformIn(tree: readonly KnownProcess[]): KnownProcess {
  const found = tree.find(({ command }) =>
    /^\S+ \S+ \S+\/apps\/platform\/src\/main\.ts/.test(command),
  )
  if (found === undefined) throw new Error('the platform does not run')
  return found
}

const kinds = (tree: readonly KnownProcess[]) =>
  ['apps/platform/src/main.ts', 'apps/workspace-runtime/src/main.ts', 'bin/postgres'].filter(
    (part) => tree.some(({ command }) => command.includes(part)),
  )

describe('npm start', () => {
  it('says where it listens and what to try, and answers there', async () => {
    const started = await start(BY_NPM)
    started.tree()
    expect(started.output()).toContain('npx atrium workspaces create hello')
    expect(started.output()).toContain('Ctrl-C stops it with everything it started')
    expect((await fetch(`${started.url}/ready`)).status).toBe(200)
    signal(started.child.pid, 'SIGTERM')
    await started.ended()
    await eventually(() => stillRunning(seen).length === 0)
  })

  it.each([
    ['Ctrl-C in a terminal, under npm', BY_NPM, 'group', 'SIGINT'],
    ['Ctrl-C in a terminal', DIRECTLY, 'group', 'SIGINT'],
    ['SIGINT to the one process', DIRECTLY, 'process', 'SIGINT'],
    ['SIGTERM to the one process', DIRECTLY, 'process', 'SIGTERM'],
    ['SIGTERM to npm', BY_NPM, 'process', 'SIGTERM'],
    ['a hang-up', DIRECTLY, 'group', 'SIGHUP'],
    [
      'a terminal that is gone',
      [...IN_A_TERMINAL, `${DIRECTLY.join(' ')}`, '/dev/null'],
      'process',
      'SIGKILL',
    ],
    ['kill -9 of what npm runs', DIRECTLY, 'process', 'SIGKILL'],
  ] as const)('ends with everything it started on %s', async (_case, command, target, name) => {
    const started = await start(command)
    await createWorkspace(started.url, 'one')
    await isOnline(started.url)
    expect(kinds(started.tree())).toHaveLength(3)
    const { pid } = started.child
    signal(target === 'group' ? -(pid ?? 0) : pid, name)
    const exitCode = await started.ended()
    if (command === DIRECTLY && name !== 'SIGKILL') expect(exitCode).toBe(0)
    await eventually(() => stillRunning(seen).length === 0, 30_000)
    expect(await readdir(dataDir)).not.toContain('platform.json')
    expect(await readdir(join(dataDir, 'postgres'))).not.toContain('lock')
  })

  it('ends cleanly when it is asked to before it is up, and starts afterwards', async () => {
    const early = launch(DIRECTLY)
    await eventually(() => existsSync(join(dataDir, 'postgres/server.log')), 60_000)
    early.tree()
    signal(early.child.pid, 'SIGINT')
    expect(await early.ended()).toBe(0)
    expect(early.output()).not.toContain('could not start')
    await eventually(() => stillRunning(seen).length === 0, 30_000)
    const { url, tree } = await start()
    tree()
    expect((await fetch(`${url}/ready`)).status).toBe(200)
  })

  it('finds the data of the start before', async () => {
    const first = await start()
    await createWorkspace(first.url, 'kept')
    await isOnline(first.url)
    first.tree()
    signal(first.child.pid, 'SIGINT')
    await first.ended()
    const second = await start()
    await isOnline(second.url)
    second.tree()
    expect(await workspaces(second.url)).toMatchObject([{ name: 'kept' }])
  })

  it('starts again after a kill -9 of the platform, at once, with its data', async () => {
    const first = await start()
    await createWorkspace(first.url, 'kept')
    await isOnline(first.url)
    signal(platformIn(first.tree()).pid, 'SIGKILL')
    expect(await first.ended()).toBe(137)
    const second = await start()
    second.tree()
    await isOnline(second.url)
    expect(await workspaces(second.url)).toMatchObject([{ name: 'kept' }])
    // Nothing of the first one runs beside the second.
    const own = new Set(second.tree().map(({ pid }) => pid))
    await eventually(() => stillRunning(seen).every(({ pid }) => own.has(pid)), 30_000)
  })

  it('starts again after everything of it was killed', async () => {
    const first = await start()
    await createWorkspace(first.url, 'kept')
    await isOnline(first.url)
    // One takes the next with it: some are gone before it is their turn.
    for (const { pid } of stillRunning(first.tree())) sendSignal(pid, 'SIGKILL')
    const second = await start()
    second.tree()
    await isOnline(second.url)
    expect(await workspaces(second.url)).toMatchObject([{ name: 'kept' }])
  })

  it('brings its database back when that one dies, and goes on with its workspaces', async () => {
    const { url, tree, output } = await start()
    await createWorkspace(url, 'kept')
    await isOnline(url)
    tree()
    const pidFile = await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8')
    signal(Number.parseInt(pidFile, 10), 'SIGKILL')
    await eventually(() => output().includes('database.restarted'), 60_000)
    await eventually(async () => (await fetch(`${url}/ready`)).status === 200, 60_000)
    await createWorkspace(url, 'later')
    await isOnline(url)
    expect(await workspaces(url)).toMatchObject([{ name: 'kept' }, { name: 'later' }])
    tree()
  })

  it('ends and says why when its database does not come back', async () => {
    const { child, ended, output, tree } = await start()
    tree()
    const pgdata = join(dataDir, 'postgres/data')
    const pidFile = await readFile(join(pgdata, 'postmaster.pid'), 'utf8')
    await rename(join(pgdata, 'global/pg_control'), join(pgdata, 'global/away'))
    signal(Number.parseInt(pidFile, 10), 'SIGKILL')
    // Half a second, doubled four times.
    await eventually(() => child.exitCode !== null, 60_000)
    expect(await ended()).toBe(1)
    expect(output()).toContain('atrium ends: the embedded database ended 6 times within 10 minutes')
    expect(stillRunning(seen)).toEqual([])
  })

  it('refuses the data folder of one that runs, and says which', async () => {
    const first = await start()
    const { pid } = platformIn(first.tree())
    const second = launch(DIRECTLY)
    expect(await second.ended()).toBe(1)
    expect(second.output()).toContain(`in use by process ${pid}`)
    expect((await fetch(`${first.url}/health`)).status).toBe(200)
  })
})

describe('bootstrap.mjs', () => {
  it('explains itself', async () => {
    const run = await runProcess(process.execPath, [BOOTSTRAP, 'strat'])
    expect(run.exitCode).toBe(2)
    expect(run.stderr).toContain(
      'usage: node scripts/bootstrap.mjs start|dev|test|bench|soak|atrium',
    )
  })

  it('hands the arguments and the folder of the caller to the command line client', async () => {
    const run = await runProcess(process.execPath, [BOOTSTRAP, 'atrium', 'upload', '--help'], {
      cwd: tmpdir(),
    })
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toContain('upload')
  })
})
