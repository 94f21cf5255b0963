// What stands before the installation, so: plain JavaScript for Node >= 20, no dependencies.
// It installs what is missing and hands over to Node 24 (docs/adr/0008-node-from-npm.md).
//   node scripts/bootstrap.mjs start|dev|test|bench|atrium [arguments]
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HELP } from './command-help.mjs'

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const BIN = join(ROOT, 'node_modules', '.bin')
const MIN_MAJOR = 20
const REQUIRED_MAJOR = 24

/** How often we look whether npm is still there. */
const PARENT_CHECK_MS = 500

/** Ctrl-C reaches us twice under npm, from the terminal and from npm: less than this is one. */
const SAME_SIGNAL_MS = 500

/** Looks after nobody's terminal, so it goes when we go, `kill -9` included (as ADR-0001 does). */
const SETPRIV = '/usr/bin/setpriv'

const PLATFORM = {
  script: 'apps/platform/src/main.ts',
  needsLinux: true,
  isService: true,
  isWithoutArguments: true,
  // Where Node's flags for it stand: docs/adr/0017-a-small-young-generation.md
  manifest: 'apps/platform/package.json',
  env: { ATRIUM_MODE: 'development' },
}
const COMMANDS = {
  start: PLATFORM,
  dev: { ...PLATFORM, nodeFlags: ['--watch', '--watch-preserve-output'] },
  test: { script: 'scripts/run-tests.ts', needsLinux: true, isService: true },
  bench: { script: 'scripts/bench/main.ts', needsLinux: true, isService: true },
  soak: { script: 'scripts/soak/main.ts', needsLinux: true, isService: true },
  atrium: { script: 'apps/cli/src/main.ts', needsLinux: false, isService: false },
}

/** Read before anything that takes time: who started us may end while we install. */
const PARENT = process.ppid

/** What runs at the moment, and whether the terminal signals it without us. */
let current = { child: undefined, isInTerminalGroup: false }

await main()

async function main() {
  const [name = '', ...args] = process.argv.slice(2)
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    fail(2, `usage: node scripts/bootstrap.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`)
  }
  if (args.includes('--help') && HELP[name] !== undefined) {
    process.stdout.write(HELP[name])
    return
  }
  if (command.isWithoutArguments && args.length > 0) {
    fail(2, `unknown argument of ${name}: ${args[0]} (settings are variables: see --help)`)
  }
  checkMachine(command)
  forwardSignals()
  if (command.isService && process.env.npm_lifecycle_event !== undefined) endWithParent()
  await installWhatIsMissing()
  run([nodeToUse(), ...nodeFlags(command), join(ROOT, command.script), ...args], command)
}

function nodeFlags({ nodeFlags: own = [], manifest }) {
  const flags = manifest && readJson(join(ROOT, manifest))?.config?.node_flags
  return flags === undefined ? own : [...own, ...flags.split(' ')]
}

function checkMachine({ needsLinux }) {
  if (Number.parseInt(process.versions.node, 10) < MIN_MAJOR) {
    fail(1, `needs Node ${MIN_MAJOR} or newer, this is ${process.versions.node}`)
  }
  if (needsLinux && process.platform !== 'linux') {
    fail(1, `runs on Linux, this is ${process.platform}: use a Linux machine, container or WSL 2`)
  }
}

async function installWhatIsMissing() {
  const reason = whyInstall()
  if (reason === undefined) return
  note(`installing dependencies (${reason}) ...`)
  // The npm that called us, on the Node it runs on: the one in node_modules is about to be replaced.
  const npm = process.env.npm_execpath
  const [file, first] =
    npm !== undefined && /npm-cli\.[cm]?js$/.test(npm)
      ? [process.env.npm_node_execpath ?? process.execPath, [npm]]
      : ['npm', []]
  // Tools and the server's binaries are optional or for development in npm's eyes, not in ours.
  const args = [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
  const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 2, 2] })
  current = { child, isInTerminalGroup: false }
  child.on('error', (error) => fail(1, `cannot run npm: ${error.message}`))
  const [status, signal] = await once(child, 'exit')
  if (signal !== null) fail(exitCodeOf(signal), `npm ci was ended by ${signal}`)
  if (status !== 0) fail(1, `npm ci ended with ${status}; its messages are above`)
  note('installed')
}

/** Why an installation is due, or undefined; never asks the network. */
function whyInstall() {
  const wanted = readJson(join(ROOT, 'package-lock.json'))
  if (wanted === undefined) fail(1, `package-lock.json is missing in ${ROOT}`)
  // npm writes this one last: without it, an installation was cut short or never began.
  const present = readJson(join(ROOT, 'node_modules', '.package-lock.json'))
  if (present === undefined) return 'none yet'
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (!path.includes('node_modules/') || entry.link === true) continue
    const flaw = flawOf(path, entry, present.packages[path])
    if (flaw !== undefined) return `${nameOf(path)} ${flaw}`
  }
  return undefined
}

function flawOf(path, wanted, found) {
  if (found !== undefined && found.version !== wanted.version) return 'changed'
  // Optional packages are for other platforms.
  if (wanted.optional === true) return undefined
  if (found === undefined) return 'is missing'
  return existsSync(join(ROOT, path)) ? undefined : 'is gone'
}

function nameOf(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** The pinned Node 24, or the one we run on when that is new enough. */
function nodeToUse() {
  const pinned = join(ROOT, 'node_modules', 'node', 'bin', 'node')
  const version = spawnSync(pinned, ['--version'], { encoding: 'utf8' }).stdout ?? ''
  if (version.startsWith(`v${REQUIRED_MAJOR}.`)) return pinned
  if (Number.parseInt(process.versions.node, 10) >= REQUIRED_MAJOR) return process.execPath
  fail(
    1,
    `Node ${REQUIRED_MAJOR} is not in node_modules: install scripts seem to be off.\n` +
      '  Run: npm rebuild node --ignore-scripts=false\n' +
      `  Or put Node ${REQUIRED_MAJOR} on the PATH.`,
  )
}

/**
 * Runs the real thing and ends the way it ends. A service gets a session of its own, so that a
 * Ctrl-C reaches it once, through us, and its parents cannot end its children before it does.
 */
function run(commandLine, { isService, env = {} }) {
  const tied = isService && existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'TERM', '--'] : []
  const [file, ...args] = [...tied, ...commandLine]
  const child = spawn(file, args, {
    cwd: isService ? ROOT : (process.env.INIT_CWD ?? process.cwd()),
    stdio: 'inherit',
    detached: isService,
    env: { ...env, ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` },
  })
  // Without a session of its own it has the terminal's Ctrl-C already.
  current = { child, isInTerminalGroup: !isService }
  child.on('error', (error) => fail(1, `cannot start ${file}: ${error.message}`))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? exitCodeOf(signal)
  })
}

/** What a shell reports for a process that a signal has ended. */
function exitCodeOf(signal) {
  return 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 15)
}

function forwardSignals() {
  let lastAt = Number.NEGATIVE_INFINITY
  const onSignal = (signal) => {
    const { child, isInTerminalGroup } = current
    if (child === undefined) process.exit(exitCodeOf(signal))
    if (isInTerminalGroup && signal === 'SIGINT') return
    const now = performance.now()
    if (now - lastAt < SAME_SIGNAL_MS) return
    lastAt = now
    // A terminal that was closed is a request to stop like any other.
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
}

/** npm passes a signal to the shell between us, and that shell dies of it without telling us. */
function endWithParent() {
  const timer = setInterval(() => {
    if (process.ppid === PARENT) return
    clearInterval(timer)
    current.child?.kill('SIGTERM')
  }, PARENT_CHECK_MS)
  timer.unref()
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

function note(text) {
  process.stderr.write(`atrium: ${text}\n`)
}

function fail(code, text) {
  note(text)
  process.exit(code)
}
