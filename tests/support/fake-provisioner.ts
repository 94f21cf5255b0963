/**
 * @module A back-end at the edge of the platform: the "box" is whatever URL the test gives. It
 * remembers what it was asked for, so that a test can act as the workspace that was started.
 */
import type { Secret } from '@atrium/http-kit/secret'
import type {
  BoxRef,
  ListedBox,
  Provisioner,
  ProvisionerName,
  StartInput,
  StartResult,
  UnexpectedExit,
} from '../../apps/platform/src/provisioners/provisioner.ts'

export class FakeProvisioner implements Provisioner {
  name: ProvisionerName = 'process'
  hostId: string | null = 'test-host'
  /** Where the next box is said to be; a function may refuse by throwing. */
  endpoint: (input: StartInput) => string | null | Promise<string | null> = () =>
    'http://127.0.0.1:9'
  /** The only host that is believed of a box without an endpoint. */
  address: string | null = null
  readonly starts: StartInput[] = []
  readonly stopped: string[] = []
  readonly removedVolumes: string[] = []
  readonly writtenSecrets: { readonly workspaceId: string; readonly secret: string }[] = []
  readonly running = new Set<string>()
  /** Workspaces whose volume already holds what is looked for. */
  readonly volumes = new Set<string>()
  readonly #generations = new Map<string, number>()
  /** Not every back-end knows which of two starts is the newer one. */
  refusesOlder = true
  failStop = false
  /** Every stop takes as long as this. */
  beforeStop: () => Promise<void> = async () => undefined
  isRunningFails = false
  listFails = false
  /** As a back-end that cannot list what it holds. */
  listsNothing = false
  #listener: (exit: UnexpectedExit) => void = () => undefined

  async open(): Promise<void> {
    this.running.clear()
  }

  async start(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    signal.throwIfAborted()
    this.starts.push(input)
    const aborted = Promise.withResolvers<never>()
    // An abort after the start is nobody's.
    aborted.promise.catch(() => undefined)
    signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
    const endpointUrl = await Promise.race([this.endpoint(input), aborted.promise])
    const newest = this.#generations.get(input.workspaceId) ?? 0
    if (this.refusesOlder && newest > input.generation) {
      throw new Error('superseded by a newer generation')
    }
    this.#generations.set(input.workspaceId, Math.max(newest, input.generation))
    this.running.add(input.workspaceId)
    return { endpointUrl, address: this.address, instanceId: null, isolation: 'process' }
  }

  async stop({ workspaceId, generation = Number.POSITIVE_INFINITY }: BoxRef): Promise<void> {
    if (this.failStop) throw new Error('the back-end does not answer')
    await this.beforeStop()
    if ((this.#generations.get(workspaceId) ?? 0) > generation) return
    this.running.delete(workspaceId)
    this.stopped.push(workspaceId)
  }

  async isRunning({ workspaceId }: BoxRef): Promise<boolean> {
    if (this.isRunningFails) throw new Error('the back-end does not answer')
    return this.running.has(workspaceId)
  }

  async removeVolume({ workspaceId }: BoxRef): Promise<void> {
    this.removedVolumes.push(workspaceId)
  }

  async writeInboundSecret({ workspaceId }: BoxRef, inboundSecret: Secret): Promise<boolean> {
    this.writtenSecrets.push({ workspaceId, secret: inboundSecret.reveal() })
    return true
  }

  async readConsole({ workspaceId }: BoxRef): Promise<string> {
    return `console of ${workspaceId}`
  }

  async execRead(): Promise<Uint8Array | undefined> {
    return undefined
  }

  async volumeHasFile({ workspaceId }: BoxRef): Promise<boolean> {
    return this.volumes.has(workspaceId)
  }

  async writeAuthToken(): Promise<boolean> {
    return true
  }

  async listBoxes(): Promise<readonly ListedBox[]> {
    if (this.listFails) throw new Error('the back-end does not answer')
    if (this.listsNothing) return []
    return [...this.running].map((workspaceId) => ({
      workspaceId,
      generation: this.starts.findLast((start) => start.workspaceId === workspaceId)?.generation,
      instanceId: null,
      isRunning: true,
    }))
  }

  onUnexpectedExit(listener: (exit: UnexpectedExit) => void): void {
    this.#listener = listener
  }

  /** Plays the death of a box. */
  die(exit: UnexpectedExit): void {
    this.running.delete(exit.workspaceId)
    this.#listener(exit)
  }

  async close(): Promise<void> {
    this.running.clear()
  }
}
