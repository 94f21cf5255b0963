/**
 * @module `npm run bench`: the real platform and runtime against nginx -> nginx, interleaved, on
 * loopback (docs/performance.md). `--quick` has fewer rounds, `--json` prints rows for machines.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureMessages } from './a2a.ts'
import { Atrium } from './atrium.ts'
import { measureHeartbeats } from './heartbeats.ts'
import { ensureNginx, startNginx } from './nginx.ts'
import { isMet, type Row, ratioOf, renderTable } from './report.ts'
import { measureDownloads, measureMemory, measureUploads, type Suite } from './suite.ts'

const USAGE = `Usage: npm run bench -- [--quick] [--json] [--only=downloads|uploads|memory|heartbeats|a2a]
       npm run bench -- a2a

Starts two platforms with one workspace each and, where it is installed, nginx in front of nginx;
moves files through both in turns; lets 10,000 workspaces beat; sends messages and opens streams
through the gateway; prints medians, ratios and targets.
Loopback only. Takes two to four minutes and about 5 GiB of temporary disk.
`

const ROUNDS = 5
const QUICK_ROUNDS = 2

const GROUPS = {
  downloads: measureDownloads,
  uploads: measureUploads,
  memory: measureMemory,
} as const

/** Each with a database and processes of its own. */
const ALONE = [
  ['heartbeats', measureHeartbeats],
  ['a2a', measureMessages],
] as const

async function main(): Promise<void> {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const values = { ...given, only: given.only ?? positionals[0] }
  const groups = Object.entries(GROUPS).filter(
    ([name]) => values.only === undefined || values.only === name,
  )
  const isWanted = (name: string): boolean => values.only === undefined || values.only === name
  if (values.help || (groups.length === 0 && !ALONE.some(([name]) => isWanted(name)))) {
    process.stdout.write(USAGE)
    return
  }
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'atrium-bench-'))
  const undo: (() => Promise<void>)[] = []
  const rows: Row[] = []
  const onSignal = (): void => {
    say('interrupted, cleaning up ...')
    void cleanUp(folder, undo).then(() => process.exit(130))
  }
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    const settings = { rounds: values.quick ? QUICK_ROUNDS : ROUNDS, say }
    if (groups.length > 0) {
      const suite = await start(folder, undo, settings)
      for (const [, measure] of groups) rows.push(...(await measure(suite)))
    }
    for (const [name, measure] of ALONE.filter(([name]) => isWanted(name))) {
      // Nothing else runs meanwhile: the two cores are all there is.
      await endAll(undo)
      rows.push(...(await measure({ ...settings, undo, folder: join(folder, name) })))
    }
  } finally {
    await cleanUp(folder, undo)
  }
  process.stdout.write(values.json ? `${asJson(rows)}\n` : `\n${renderTable(rows)}\n`)
}

async function start(
  folder: string,
  undo: (() => Promise<void>)[],
  settings: Pick<Suite, 'rounds' | 'say'>,
): Promise<Suite> {
  const nginxFolder = join(folder, 'nginx')
  const hasNginx = ensureNginx()
  if (!hasNginx) settings.say('nginx is missing (apt-get install nginx-light): no ratios')
  const nginx = hasNginx ? await startNginx(nginxFolder) : undefined
  if (nginx !== undefined) undo.push(() => nginx.end())
  settings.say('starting two platforms with a workspace each')
  const atrium = await Atrium.start(join(folder, 'unsynced'), { fsync: false })
  undo.push(() => atrium.end())
  const synced = await Atrium.start(join(folder, 'synced'), { fsync: true })
  undo.push(() => synced.end())
  return { ...settings, atrium, synced, nginx, nginxFolder }
}

async function cleanUp(folder: string, undo: (() => Promise<void>)[]): Promise<void> {
  await endAll(undo)
  rmSync(folder, { recursive: true, force: true })
}

async function endAll(undo: (() => Promise<void>)[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
}

function asJson(rows: readonly Row[]): string {
  const facts = rows.map((row) => ({ ...row, ratio: ratioOf(row), met: isMet(row) }))
  return JSON.stringify({ node: process.version, rows: facts }, null, 2)
}

await main()
