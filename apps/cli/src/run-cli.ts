/** @module One invocation from its arguments to its exit code, without touching the process. */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { CommanderError } from 'commander'
import type { CommandContext } from './command-context.ts'
import { readConfig } from './config.ts'
import { CliFailure, describeThrown, EXIT } from './failure.ts'
import { PlatformClient } from './http/platform-client.ts'
import { interruptedFailure } from './http/transport-failure.ts'
import { Credentials } from './platform/credentials.ts'
import { commanderExitCode, commanderFailure, createProgram } from './program.ts'
import type { GlobalOptions } from './run-command.ts'
import { OutputWatch } from './terminal/output-watch.ts'
import { printableLine } from './terminal/printable.ts'
import { type OutputStream, Terminal } from './terminal/terminal.ts'

const DEFAULT_BUDGET_SECONDS = 120
/** Longest silence on a connection; the platform sends a comment every 15 s while it streams. */
const IDLE_TIMEOUT_MS = 120_000

export type CliWorld = {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly readStdin: () => Promise<string>
  readonly cwd: string
  readonly pid: number
  readonly projectRoot: string
  readonly isAlive: (pid: number) => boolean
  readonly clock: Clock
  readonly ids: Ids
  readonly signal: AbortSignal
  /** What is called before the process ends because the user insists. */
  readonly lastResort: Set<() => void>
}

/** Runs the command and returns its exit code; everything that went wrong has been said by then. */
export async function runCli(given: CliWorld): Promise<number> {
  const output = new OutputWatch(given.stdout)
  const world = {
    ...given,
    signal: AbortSignal.any([given.signal, output.signal]),
    outputBroken: output.signal,
  }
  const isJson = wantsJson(world.args)
  const program = createProgram((options, command) => inContext(world, options, command), {
    writeOut: (text) => world.stdout.write(text),
    // What commander says about a wrong command line comes as a failure like any other then.
    writeErr: (text) => isJson || world.stderr.write(text),
  })
  const outcome = await outcomeOf(
    () => program.parseAsync([...world.args], { from: 'user' }),
    given.signal,
  )
  // It has said to people what was wrong with their command line.
  if (outcome instanceof CommanderError && !isJson) return commanderExitCode(outcome)
  await output.flush()
  const failure =
    output.failure ?? (outcome instanceof CommanderError ? commanderFailure(outcome) : outcome)
  if (failure === undefined) return EXIT.ok
  if (failure.message !== '') world.stderr.write(renderFailure(failure, isJson))
  return failure.exitCode
}

/** What went wrong, if anything. Help that was asked for is output like any other. */
async function outcomeOf(
  run: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<CliFailure | CommanderError | undefined> {
  try {
    await run()
    return undefined
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return asFailure(thrown, signal)
    return commanderExitCode(thrown) === EXIT.ok ? undefined : thrown
  }
}

/** Asked of the arguments themselves: a command line that cannot be parsed has to be answered too. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end < 0 ? args.length : end).includes('--json')
}

async function inContext(
  world: CliWorld & { readonly outputBroken: AbortSignal },
  options: GlobalOptions,
  command: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const { signal } = world
  const config = readConfig({ ...world, url: options.url })
  const client = new PlatformClient({
    baseUrl: config.baseUrl,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    // A command that drains finishes its requests after the user has asked it to end.
    signal: options.drains === true ? world.outputBroken : signal,
    // A gateway in front of an organisation's platform wants to know which one is meant.
    headers: config.orgId === undefined ? {} : { 'x-molecule-org-id': config.orgId },
  })
  const terminal = new Terminal({
    stdout: world.stdout,
    stderr: world.stderr,
    isJson: options.json,
    isQuiet: options.quiet,
  })
  try {
    await command({
      client,
      credentials: new Credentials(config, client),
      terminal,
      clock: world.clock,
      ids: world.ids,
      signal,
      budgetMs: (options.timeout ?? DEFAULT_BUDGET_SECONDS) * 1000,
      cwd: world.cwd,
      pid: world.pid,
      isAlive: world.isAlive,
      stateDir: config.stateDir,
      childEnv: config.childEnv,
      lastResort: world.lastResort,
      readStdin: world.readStdin,
    })
  } finally {
    await client.close()
  }
}

/** A system error that reached this far is about a local file: those of the network are mapped. */
function asFailure(thrown: unknown, signal: AbortSignal): CliFailure {
  if (signal.aborted) return interruptedFailure()
  if (thrown instanceof CliFailure) return thrown
  return new CliFailure(EXIT.failed, describeThrown(thrown), { cause: thrown })
}

function renderFailure(failure: CliFailure, isJson: boolean): string {
  const { facts } = failure
  if (isJson) {
    return `${JSON.stringify({
      error: failure.message,
      exit_code: failure.exitCode,
      status: facts.status,
      code: facts.code,
      hop: facts.hop,
      retryable: facts.retryable,
      retry_after: facts.retryAfterSeconds,
      request_id: facts.requestId,
      hint: facts.hint,
    })}\n`
  }
  const where = [
    facts.code,
    facts.hop === undefined ? undefined : `hop ${facts.hop}`,
    facts.requestId === undefined ? undefined : `request ${facts.requestId}`,
  ].filter((part) => part !== undefined)
  const detail = where.length === 0 ? '' : ` (${where.join(', ')})`
  const hint = facts.hint === undefined ? '' : `  hint: ${printableLine(facts.hint)}\n`
  return `atrium: ${printableLine(failure.message)}${detail}\n${hint}`
}
