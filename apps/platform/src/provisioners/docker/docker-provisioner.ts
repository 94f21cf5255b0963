/**
 * @module The shared back-end: every workspace is a container of a Docker Engine that all replicas
 * reach (contract/platform 7.4, contract/runtime 14, ADR-0018). The engine's labels are the only
 * state: a platform that comes back, or another replica, finds there what there is.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import { AUTH_TOKEN_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import type { Container } from 'dockerode'
import type { Logger } from 'pino'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { acceptedPath } from '../accepted-path.ts'
import { printable } from '../console-tail.ts'
import type {
  BoxRef,
  ListedBox,
  Provisioner,
  StartInput,
  StartResult,
  UnexpectedExit,
} from '../provisioner.ts'
import { putFiles } from './box-archive.ts'
import { hasConfigFile, readBoxFile } from './box-files.ts'
import {
  LABELS,
  scopeLabels,
  VOLUME_PLACES,
  type VolumeKind,
  workspaceLabels,
} from './box-names.ts'
import { hasVolume, removeVolumes, withHelper } from './box-volumes.ts'
import type { Reach } from './container-spec.ts'
import { DeathWatch } from './death-watch.ts'
import { endBox, findBoxes, listAllBoxes, removeHelpers, removeOldHelpers } from './docker-boxes.ts'
import { containerOutput, keptConsole } from './docker-console.ts'
import { connectEngine, type Engine, withEngine } from './engine.ts'
import { volumesWith } from './engine-lists.ts'
import type { ImageTable } from './images.ts'
import { LastBytes } from './last-bytes.ts'
import { replaceFile } from './replace-file.ts'
import { isAlive, type StartDeps, startBox } from './start-box.ts'
import type { TierTable } from './tier-limits.ts'

export type DockerProvisionerOptions = {
  /** `unix:///path` or `tcp://127.0.0.1:port`. */
  readonly dockerHost: string
  /** Tells the boxes of this platform from those of others on the same engine. */
  readonly scope: string
  readonly images: ImageTable
  readonly tiers: TierTable
  readonly platformUrl: string | undefined
  readonly reach: Reach
  readonly startTimeoutMs: number
  readonly stopGraceMs?: number
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
}

const STOP_GRACE_MS = 10_000

type LocalStart = {
  readonly generation: number
  readonly cancel: AbortController
  readonly settled: Promise<unknown>
}

/** Builds the back-end; nothing happens before `open`. */
export function createDockerProvisioner(options: DockerProvisionerOptions): Provisioner {
  return new DockerProvisioner(options)
}

class DockerProvisioner implements Provisioner {
  readonly name = 'docker'
  readonly hostId: string | null = null
  readonly #deps: StartDeps
  readonly #deaths: DeathWatch
  readonly #starts = new Map<string, LocalStart>()
  /** By container id: two who want the same end wait for the same one. */
  readonly #ends = new Map<string, Promise<void>>()
  #listener: ((exit: UnexpectedExit) => void) | undefined
  #isOpen = false
  #closing: Promise<void> | undefined

  constructor(options: DockerProvisionerOptions) {
    const engine: Engine = connectEngine(options.dockerHost)
    this.#deps = { stopGraceMs: STOP_GRACE_MS, ...options, engine }
    this.#deaths = new DeathWatch({
      ...this.#deps,
      onDeath: (exit) => {
        if (this.#closing === undefined) this.#listener?.(exit)
      },
    })
  }

  /** An engine that is away keeps no platform from starting: what is asked of it fails meanwhile. */
  async open(): Promise<void> {
    if (this.#isOpen) throw new Error('the provisioner is open already')
    this.#isOpen = true
    try {
      await withEngine(async () => {
        await removeOldHelpers(this.#deps)
        for (const box of await listAllBoxes(this.#deps)) {
          if (box.isRunning && !box.isEnding) this.#deaths.watch(box.containerId, box)
        }
      })
    } catch (error) {
      this.#deps.log.error({ err: error }, 'provisioner.engine_away')
    }
    this.#deaths.start()
  }

  async start(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    const { workspaceId, generation } = input
    this.#check(workspaceId)
    for (;;) {
      const other = this.#starts.get(workspaceId)
      if (other === undefined) break
      if (other.generation >= generation) {
        throw new Error(`workspace ${workspaceId} is started already`)
      }
      await this.#cancelStart(workspaceId, 'superseded by a start of a newer generation')
    }
    // Nothing is awaited between the look above and the entry below: two cannot pass at once.
    if (this.#closing !== undefined) throw new AppError('shutting_down')
    const cancel = new AbortController()
    const started = this.#startOnce(input, AbortSignal.any([signal, cancel.signal]))
    const start = { generation, cancel, settled: started.catch(() => undefined) }
    this.#starts.set(workspaceId, start)
    try {
      return await started
    } finally {
      if (this.#starts.get(workspaceId) === start) this.#starts.delete(workspaceId)
    }
  }

  async #startOnce(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    return withEngine(async () => {
      const box = await startBox(this.#deps, input, signal)
      this.#deaths.watch(box.containerId, input)
      // It may have died between its answer and the line above: then nobody would ever tell.
      if (!(await isAlive(this.#deps, box)) && this.#deaths.unwatch(box.containerId)) {
        await this.#end({ ...box, workspaceId: input.workspaceId, isEnding: false })
        throw new AppError('internal', {
          internal: 'workspace start failed: the runtime ended as soon as it was ready',
        })
      }
      return {
        endpointUrl: `http://${box.host}:${box.port}`,
        address: null,
        instanceId: box.containerId,
        isolation: 'container' as const,
      }
    })
  }

  async stop(box: BoxRef): Promise<void> {
    this.#check(box.workspaceId)
    const { generation = Number.POSITIVE_INFINITY } = box
    const start = this.#starts.get(box.workspaceId)
    if (start !== undefined && start.generation <= generation) {
      await this.#cancelStart(box.workspaceId, 'the workspace was stopped while it started')
    }
    await withEngine(async () => {
      const boxes = await findBoxes(this.#deps, box)
      const meant = boxes.filter((each) => each.generation <= generation)
      await Promise.all(meant.map((each) => this.#end(each)))
    })
  }

  async #cancelStart(workspaceId: string, reason: string): Promise<void> {
    const start = this.#starts.get(workspaceId)
    start?.cancel.abort(new Error(reason))
    await start?.settled
  }

  #end(box: Parameters<typeof endBox>[1]): Promise<void> {
    const { containerId } = box
    this.#deaths.unwatch(containerId)
    const ending =
      this.#ends.get(containerId) ??
      endBox(this.#deps, box, this.#deps.stopGraceMs).finally(() => this.#ends.delete(containerId))
    this.#ends.set(containerId, ending)
    return ending
  }

  async isRunning(box: BoxRef): Promise<boolean> {
    this.#check(box.workspaceId)
    const boxes = await withEngine(() => findBoxes(this.#deps, box))
    return boxes.some(({ isRunning, isEnding }) => isRunning && !isEnding)
  }

  async execRead(box: BoxRef, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    this.#check(box.workspaceId)
    const accepted = acceptedPath(path)
    return withEngine(async () => {
      const boxes = await findBoxes(this.#deps, box)
      const running = boxes.find(({ isRunning, isEnding }) => isRunning && !isEnding)
      if (running === undefined) throw new Error(`workspace ${box.workspaceId} does not run`)
      return readBoxFile(this.#container(running.containerId), accepted, maxBytes)
    })
  }

  async volumeHasFile(box: BoxRef, path: string): Promise<boolean> {
    this.#check(box.workspaceId)
    const found = await this.#within(box, 'configs', (container) => hasConfigFile(container, path))
    return found ?? false
  }

  async removeVolume(box: BoxRef): Promise<void> {
    const { workspaceId } = box
    this.#check(workspaceId)
    await withEngine(async () => {
      const boxes = await findBoxes(this.#deps, { workspaceId })
      if (this.#starts.has(workspaceId) || boxes.some(({ isRunning }) => isRunning)) {
        throw new Error(`workspace ${workspaceId} is not stopped`)
      }
      // One that ended by itself still holds its volumes.
      await Promise.all(boxes.map((each) => this.#end(each)))
      await removeHelpers(this.#deps, workspaceLabels(this.#deps.scope, workspaceId))
      await removeVolumes(this.#deps, workspaceId)
    })
  }

  async writeAuthToken(box: BoxRef, authToken: Secret): Promise<boolean> {
    return this.#writeCredential(box, AUTH_TOKEN_FILE, authToken)
  }

  async writeInboundSecret(box: BoxRef, inboundSecret: Secret): Promise<boolean> {
    return this.#writeCredential(box, INBOUND_SECRET_FILE, inboundSecret)
  }

  async #writeCredential(box: BoxRef, name: string, credential: Secret): Promise<boolean> {
    this.#check(box.workspaceId)
    const file = { name, content: credential.reveal(), unique: this.#deps.ids.hex(12) }
    const written = await this.#within(box, 'configs', async (container, isRunning) => {
      if (isRunning) await replaceFile(container, file)
      else await putCredential(container, file)
      return true
    })
    return written ?? false
  }

  async readConsole(box: BoxRef, maxBytes: number): Promise<string> {
    this.#check(box.workspaceId)
    const last = new LastBytes(maxBytes)
    await this.#within(box, 'console', async (container) => {
      last.add(await keptConsole(container))
      last.add(await containerOutput(this.#deps.engine, container, maxBytes))
    })
    return printable(last.take())
  }

  /**
   * Uses the newest container of the workspace, or without one a helper on that volume. undefined when
   * there is neither.
   */
  async #within<T>(
    box: BoxRef,
    kind: VolumeKind,
    use: (container: Container, isRunning: boolean) => Promise<T>,
  ): Promise<T | undefined> {
    return withEngine(async () => {
      const [newest] = await findBoxes(this.#deps, { workspaceId: box.workspaceId })
      if (newest !== undefined) return use(this.#container(newest.containerId), newest.isRunning)
      if (!(await hasVolume(this.#deps, box.workspaceId, kind))) return undefined
      const { workspaceId } = box
      const image = this.#deps.images.fallback
      return withHelper(this.#deps, { workspaceId, kind, image }, (helper) => use(helper, false))
    })
  }

  async listBoxes(): Promise<readonly ListedBox[]> {
    return withEngine(async () => {
      const boxes = await listAllBoxes(this.#deps)
      const volumes = await volumesWith(this.#deps.engine, scopeLabels(this.#deps.scope))
      // Newest first: what is being ended beside it is no box of its own.
      const newest = new Map([...boxes].reverse().map((box) => [box.workspaceId, box]))
      const owners = volumes.flatMap(({ Labels }) => Labels?.[LABELS.workspaceId] ?? [])
      const bare = [...new Set(owners)].filter((owner) => !newest.has(owner))
      return [
        ...[...newest.values()].map(({ workspaceId, generation, containerId, isRunning }) => ({
          workspaceId,
          generation,
          instanceId: containerId,
          isRunning,
        })),
        ...bare.map((workspaceId) => ({
          workspaceId,
          generation: undefined,
          instanceId: null,
          isRunning: false,
        })),
      ]
    })
  }

  onUnexpectedExit(listener: (exit: UnexpectedExit) => void): void {
    if (this.#listener !== undefined) throw new Error('one listener only')
    this.#listener = listener
  }

  /** Boxes run on: they are the engine's. Only starts in progress end, with what they have begun. */
  close(): Promise<void> {
    this.#closing ??= this.#closeOnce()
    return this.#closing
  }

  async #closeOnce(): Promise<void> {
    const reason = 'the platform ends'
    await Promise.all([...this.#starts.keys()].map((id) => this.#cancelStart(id, reason)))
    await this.#deaths.stop()
  }

  #container(id: string): Container {
    return this.#deps.engine.calls.getContainer(id)
  }

  /** The only way from an id to a label or a name: what is not a canonical UUID never becomes one. */
  #check(workspaceId: string): void {
    if (parseWorkspaceId(workspaceId) !== workspaceId) throw new AppError('invalid_workspace_id')
    if (!this.#isOpen) throw new Error('the provisioner is not open')
  }
}

async function putCredential(
  container: Container,
  { name, content }: { readonly name: string; readonly content: string },
): Promise<void> {
  const files = [{ path: name, content, mode: 0o600 }]
  await putFiles(container, VOLUME_PLACES.configs, { files })
}
