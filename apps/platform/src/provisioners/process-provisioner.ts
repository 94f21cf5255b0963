/**
 * @module The embedded back-end: every workspace is a child process in a folder of its own.
 *
 * With bubblewrap it sees its own files and nobody else's; without, it runs as the platform's own
 * user, and an agent that means harm can read what that user can read. Neither keeps it from the
 * machine's network or memory: whoever runs strangers' agents takes containers (ADR-0019).
 */
import { mkdir, readdir, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import { AUTH_TOKEN_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import { BOX_MARKER_ENV } from '@atrium/runtime-contract/environment'
import type { Logger } from 'pino'
import { parseWorkspaceId } from '../domain/ids.ts'
import { type BaseDirLock, lockBaseDir } from './base-dir-lock.ts'
import type { InheritedEnv } from './box-environment.ts'
import { hasConfigFile, readBoxFile } from './box-files.ts'
import { type BoxPaths, boxPaths, replaceCredential } from './box-folder.ts'
import { readConsoleTail } from './console-tail.ts'
import { findLeftovers } from './find-box-members.ts'
import { keepHostId } from './host-id.ts'
import { openConfinement, PROBE_PREFIX, type SandboxOptions } from './open-confinement.ts'
import { removePidRecord } from './pid-record.ts'
import { snapshotProcesses } from './process-table.ts'
import type {
  BoxRef,
  ListedBox,
  Provisioner,
  StartInput,
  StartResult,
  UnexpectedExit,
} from './provisioner.ts'
import { removeTree } from './remove-tree.ts'
import { endLeftovers, RuntimeBox } from './runtime-box.ts'
import type { Confinement } from './runtime-command.ts'

export type ProcessProvisionerOptions = {
  /** Holds one folder per workspace; made when missing. Belongs to one platform at a time. */
  readonly baseDir: string
  readonly runtimeEntry: string
  readonly nodePath: string
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly startTimeoutMs?: number
  readonly listenHost?: string
  /** The only part of the platform's environment that a workspace sees. */
  readonly inheritedEnv?: InheritedEnv
  /** How long SIGTERM may take before SIGKILL. */
  readonly stopGraceMs?: number
  readonly maxLogFileBytes?: number
  readonly sandbox: SandboxOptions
  /** Told once, by `open`: how boxes are kept apart, in words for operators. */
  readonly onConfinement?: (words: string) => void
}

const DEFAULTS = {
  startTimeoutMs: 30_000,
  stopGraceMs: 10_000,
  listenHost: '127.0.0.1',
  inheritedEnv: {},
  maxLogFileBytes: 10 * 1024 * 1024,
  onConfinement: () => undefined,
} as const

/** Builds the back-end; nothing happens before `open`. */
export function createProcessProvisioner(options: ProcessProvisionerOptions): Provisioner {
  return new ProcessProvisioner({ ...DEFAULTS, ...options })
}

type OpenBase = {
  readonly dir: string
  readonly lock: BaseDirLock
  readonly hostId: string
  readonly confinement: Confinement
}

class ProcessProvisioner implements Provisioner {
  readonly name = 'process'
  readonly #options: Required<ProcessProvisionerOptions>
  readonly #boxes = new Map<string, RuntimeBox>()
  #base: OpenBase | undefined
  #listener: ((exit: UnexpectedExit) => void) | undefined
  #closing: Promise<void> | undefined

  constructor(options: Required<ProcessProvisionerOptions>) {
    this.#options = options
  }

  get hostId(): string {
    if (this.#base === undefined) throw new Error('the provisioner is not open')
    return this.#base.hostId
  }

  async open(): Promise<void> {
    if (this.#base !== undefined) throw new Error('the provisioner is open already')
    await mkdir(this.#options.baseDir, { recursive: true, mode: 0o700 })
    const dir = await realpath(this.#options.baseDir)
    const lock = await lockBaseDir(dir)
    try {
      const hostId = await keepHostId(dir, this.#options.ids)
      await this.#endLeftoversIn(dir)
      const confinement = await this.#openConfinement(dir)
      this.#base = { dir, lock, hostId, confinement }
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async #openConfinement(dir: string): Promise<Confinement> {
    const { log, onConfinement, sandbox } = this.#options
    await removeProbes(dir)
    const { confinement, whyNoSandbox } = await openConfinement(
      { ...this.#options, ...sandbox },
      dir,
    )
    if (confinement.prlimit === undefined) log.warn({}, 'provisioner.no_limits')
    if (whyNoSandbox === undefined) {
      const hasOwnUsers = confinement.sandbox?.hasOwnUsers
      log.info({ has_own_users: hasOwnUsers }, 'provisioner.sandbox')
      onConfinement(`in a sandbox${hasOwnUsers === true ? ', each as a user of its own' : ''}`)
    } else {
      const isChosen = sandbox.mode === 'off'
      log[isChosen ? 'info' : 'warn']({ reason: whyNoSandbox }, 'provisioner.no_sandbox')
      onConfinement(`without a sandbox: ${whyNoSandbox}`)
    }
    return confinement
  }

  async #endLeftoversIn(dir: string): Promise<void> {
    const { clock, log } = this.#options
    const snapshot = await snapshotProcesses(BOX_MARKER_ENV)
    const marked = [...snapshot.valueByPid.values()].filter((root) => dirname(root) === dir)
    const names = new Set([...(await readdir(dir)), ...marked.map((root) => basename(root))])
    for (const name of names) {
      if (!isCanonicalId(name)) continue
      const { root } = boxPaths(dir, name)
      const found = await findLeftovers(root, snapshot)
      if (found.length === 0) continue
      log.warn({ workspace_id: name, pids: found.map(({ pid }) => pid) }, 'provisioner.leftovers')
      try {
        await endLeftovers(root, clock)
        await removePidRecord(root)
      } catch (error) {
        // One hung process must not keep all other workspaces down: its own start tries again.
        log.error({ err: error, workspace_id: name }, 'provisioner.leftovers_survive')
      }
    }
  }

  async start(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    const id = input.workspaceId
    const paths = this.#pathsOf(id)
    for (let earlier = this.#boxes.get(id); earlier !== undefined; earlier = this.#boxes.get(id)) {
      if (earlier.isInUse && earlier.generation >= input.generation) {
        throw new Error(`workspace ${id} is started already`)
      }
      await earlier.stop()
    }
    const box = new RuntimeBox(
      {
        ...this.#options,
        confinement: this.#openBase().confinement,
        baseDir: this.#openBase().dir,
        paths,
        onGone: () => this.#boxes.delete(id),
        onUnexpectedExit: (exit) => this.#report(exit),
      },
      input,
    )
    this.#boxes.set(id, box)
    return box.start(signal)
  }

  async stop({ workspaceId, generation = Number.POSITIVE_INFINITY }: BoxRef): Promise<void> {
    const { root } = this.#pathsOf(workspaceId)
    const box = this.#boxes.get(workspaceId)
    if (box !== undefined && box.generation > generation) return
    if (box === undefined) await endLeftovers(root, this.#options.clock)
    else await box.stop()
  }

  async isRunning({ workspaceId }: BoxRef): Promise<boolean> {
    return this.#boxes.get(workspaceId)?.isRunning ?? false
  }

  async execRead(box: BoxRef, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const { root } = this.#pathsOf(box.workspaceId)
    if (!(await this.isRunning(box))) throw new Error(`workspace ${box.workspaceId} does not run`)
    return readBoxFile(root, path, maxBytes)
  }

  async volumeHasFile({ workspaceId }: BoxRef, path: string): Promise<boolean> {
    return hasConfigFile(this.#pathsOf(workspaceId).root, path)
  }

  async writeAuthToken({ workspaceId }: BoxRef, authToken: Secret): Promise<boolean> {
    const paths = this.#pathsOf(workspaceId)
    return replaceCredential({ paths, ids: this.#options.ids }, AUTH_TOKEN_FILE, authToken)
  }

  async listBoxes(): Promise<readonly ListedBox[]> {
    const { dir } = this.#openBase()
    const names = new Set([...(await readdir(dir)).filter(isCanonicalId), ...this.#boxes.keys()])
    return [...names].map((workspaceId) => {
      const box = this.#boxes.get(workspaceId)
      const isRunning = box?.isRunning ?? false
      return { workspaceId, generation: box?.generation, instanceId: null, isRunning }
    })
  }

  async removeVolume({ workspaceId }: BoxRef): Promise<void> {
    const { root } = this.#pathsOf(workspaceId)
    if (this.#boxes.has(workspaceId)) throw new Error(`workspace ${workspaceId} is not stopped`)
    await removeTree(root)
  }

  async writeInboundSecret({ workspaceId }: BoxRef, inboundSecret: Secret): Promise<boolean> {
    const paths = this.#pathsOf(workspaceId)
    return replaceCredential({ paths, ids: this.#options.ids }, INBOUND_SECRET_FILE, inboundSecret)
  }

  async readConsole({ workspaceId }: BoxRef, maxBytes: number): Promise<string> {
    const { logs } = this.#pathsOf(workspaceId)
    const box = this.#boxes.get(workspaceId)
    return box === undefined ? readConsoleTail(logs, maxBytes) : box.readConsole(maxBytes)
  }

  onUnexpectedExit(listener: (exit: UnexpectedExit) => void): void {
    if (this.#listener !== undefined) throw new Error('one listener only')
    this.#listener = listener
  }

  #report(exit: UnexpectedExit): void {
    // While everything is being stopped, a box that dies first is no news.
    if (this.#closing === undefined) this.#listener?.(exit)
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce()
    return this.#closing
  }

  async #closeOnce(): Promise<void> {
    const ends = [...this.#boxes.values()].map((box) => box.stop())
    const failures = (await Promise.allSettled(ends)).filter((end) => end.status === 'rejected')
    await this.#base?.lock.release()
    if (failures.length > 0) {
      const reasons = failures.map((end) => end.reason)
      throw new AggregateError(reasons, `${failures.length} workspaces could not be stopped`)
    }
  }

  #openBase(): OpenBase {
    if (this.#closing !== undefined) throw new AppError('shutting_down')
    if (this.#base === undefined) throw new Error('the provisioner is not open')
    return this.#base
  }

  /** The only way from an id to a folder: what is not a canonical UUID never becomes a path. */
  #pathsOf(workspaceId: string): BoxPaths {
    if (!isCanonicalId(workspaceId)) throw new AppError('invalid_workspace_id')
    if (this.#base === undefined) throw new Error('the provisioner is not open')
    return boxPaths(this.#base.dir, workspaceId)
  }
}

/** What a platform that was killed while it tried the sandbox out has left. */
async function removeProbes(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.startsWith(PROBE_PREFIX)) await removeTree(join(dir, name))
  }
}

function isCanonicalId(text: string): boolean {
  return parseWorkspaceId(text) === text
}
