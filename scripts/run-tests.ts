/**
 * @module `npm test`: every stage, cheap ones first, all of them even when one fails. The last line
 * is `vitest: N passed, N failed`. `npm test -- unit lint` runs the named stages only.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { startProcessListSampler } from '../tests/support/process-list-sampler.ts'
import { runLogPath } from '../tests/support/secret-ledger.ts'
import { startTestCluster } from '../tests/support/test-cluster.ts'
import { testRunDir } from '../tests/support/test-run.ts'

const ROOT = resolve(import.meta.dirname, '..')

type Stage = { readonly name: string; readonly command: readonly string[] }
type Outcome = { readonly name: string; readonly ok: boolean; readonly seconds: number }

/** The audit is last: it reads what the others have left. */
const VITEST_PROJECTS = ['unit', 'integration', 'contract', 'e2e', 'audit']

const STAGES: readonly Stage[] = [
  { name: 'format', command: ['biome', 'format', '.'] },
  { name: 'lint', command: ['biome', 'lint', '--error-on-warnings', '.'] },
  { name: 'types', command: ['tsc', '--noEmit', '-p', 'tsconfig.json'] },
  ...VITEST_PROJECTS.map((name) => ({ name, command: ['vitest', 'run', '--project', name] })),
]

const vitestReport = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  // A file that cannot be loaded has no tests that could fail.
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
})

const interrupted = new AbortController()
let running: ReturnType<typeof spawn> | undefined

type Counts = { passed: number; failed: number; skipped: number }

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.find((name) => !STAGES.some((stage) => stage.name === name))
  if (unknown !== undefined) {
    console.error(`no stage ${unknown}; there are: ${STAGES.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const stages = STAGES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
  // What a part of the stages leaves says nothing about the whole.
  if (stages.length === STAGES.length) process.env['ATRIUM_TEST_AUDIT'] = '1'
  const stopCluster = await startTestCluster()
  const sampler = startProcessListSampler()
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  const outcomes: Outcome[] = []
  try {
    for (const stage of stages) {
      if (!interrupted.signal.aborted) outcomes.push(await runStage(stage, counts))
    }
  } finally {
    await sampler.stop()
    await stopCluster()
  }
  return report(outcomes, counts)
}

async function runStage(stage: Stage, counts: Counts): Promise<Outcome> {
  console.log(`\n=== ${stage.name}: ${stage.command.join(' ')}`)
  const startedAt = Date.now()
  const isVitest = stage.command[0] === 'vitest'
  const reportFile = join(testRunDir(), `vitest-${stage.name}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const exitCode = await runCommand(stage, isVitest ? reporters : [])
  const isReported = !isVitest || addCounts(reportFile, counts)
  const ok = exitCode === 0 && isReported
  const seconds = (Date.now() - startedAt) / 1000
  console.log(`=== ${stage.name}: ${ok ? 'ok' : 'FAILED'} in ${seconds.toFixed(1)} s`)
  return { name: stage.name, ok, seconds }
}

/** What it prints goes to the terminal and, for the audit, into the logs of the run. */
async function runCommand(stage: Stage, more: readonly string[]): Promise<number> {
  const [file = '', ...args] = [...stage.command, ...more]
  // Both variables at once make every Node below warn about them.
  const isColourful = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === ''
  const child = spawn(join(ROOT, 'node_modules', '.bin', file), args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(isColourful ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }) },
  })
  running = child
  const log = createWriteStream(runLogPath(`stage-${stage.name}`))
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.pipe(to, { end: false })
    from.pipe(log, { end: false })
  }
  const [code]: (number | null)[] = await once(child, 'close')
  running = undefined
  log.end()
  await once(log, 'close')
  return code ?? 1
}

/** Adds what vitest counted; false when it ended before it could write its report. */
function addCounts(reportFile: string, counts: Counts): boolean {
  if (!existsSync(reportFile)) {
    counts.failed += 1
    return false
  }
  const result = vitestReport.parse(JSON.parse(readFileSync(reportFile, 'utf8')))
  const unloaded = result.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  )
  counts.passed += result.numPassedTests
  counts.failed += result.numFailedTests + unloaded.length
  counts.skipped += result.numPendingTests + result.numTodoTests
  return result.success
}

function report(outcomes: readonly Outcome[], counts: Counts): number {
  console.log('\n=== summary')
  for (const { name, ok, seconds } of outcomes) {
    console.log(
      `${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s`,
    )
  }
  const failed = outcomes.filter(({ ok }) => !ok).length
  if (failed > 0) console.log(`${failed} of ${outcomes.length} stages failed`)
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
  console.log(`vitest: ${counts.passed} passed, ${counts.failed} failed${skipped}`)
  return failed === 0 && !interrupted.signal.aborted ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    console.error(`\n${signal}: stopping`)
    // The stage that runs ends, and everything is cleaned up on the usual way out.
    interrupted.abort()
    running?.kill(signal)
  })
}

process.exitCode = await main(process.argv.slice(2))
