/**
 * @module The back-end of a hosted installation: a control plane starts a machine per workspace
 * (contract/platform 7.4, 7.10). Machines outlive the platform, and every replica may act on them.
 *
 * Nobody here can write into such a machine: credentials and configuration go with its environment
 * (`machine-environment.ts`), and later ones with the workspace's beats.
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { Logger } from 'pino'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { printable } from '../console-tail.ts'
import type {
  BoxRef,
  ListedBox,
  Provisioner,
  StartInput,
  StartResult,
  UnexpectedExit,
} from '../provisioner.ts'
import {
  ControlPlaneClient,
  type ControlPlaneOptions,
  type Machine,
  type MachineRef,
} from './control-plane-client.ts'
import { machineEnvironment } from './machine-environment.ts'
import { requirePrivateAddress } from './private-address.ts'

export type ControlPlaneProvisionerOptions = ControlPlaneOptions & {
  readonly log: Logger
  readonly clock: Clock
  /** How long a machine may go on running after its end was accepted. */
  readonly stopTimeoutMs?: number
}

type Starting = { readonly generation: number; readonly settled: Promise<void> }
type KnownMachine = { readonly generation: number; readonly instanceId: string }

const STOP_TIMEOUT_MS = 60_000
const STOP_POLL_MS = 500
/** Also a platform that is ending waits this long for it. */
const UNDO_TIMEOUT_MS = 30_000
/** Machines of this replica's own starts that are remembered. */
const MAX_KNOWN = 10_000

/** Builds the back-end; nothing is asked of the control plane before the first start. */
export function createControlPlaneProvisioner(
  options: ControlPlaneProvisionerOptions,
): Provisioner {
  return new ControlPlaneProvisioner(options)
}

class ControlPlaneProvisioner implements Provisioner {
  readonly name = 'control-plane'
  readonly hostId = null
  readonly #options: ControlPlaneProvisionerOptions
  readonly #client: ControlPlaneClient
  readonly #closed = new AbortController()
  readonly #starting = new Map<string, Starting>()
  readonly #known = new Map<string, KnownMachine>()

  constructor(options: ControlPlaneProvisionerOptions) {
    this.#options = options
    this.#client = new ControlPlaneClient(options)
  }

  async open(): Promise<void> {
    // A control plane that is away now may be back before it is needed.
  }

  async start(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    const workspaceId = canonicalId(input.workspaceId)
    this.#closed.signal.throwIfAborted()
    const { generation } = input
    for (
      let other = this.#starting.get(workspaceId);
      other !== undefined;
      other = this.#starting.get(workspaceId)
    ) {
      if (other.generation >= generation) throw startedAlready(workspaceId)
      await other.settled
    }
    const started = this.#start(input, AbortSignal.any([signal, this.#closed.signal]))
    const settled = started.then(
      () => undefined,
      () => undefined,
    )
    this.#starting.set(workspaceId, { generation, settled })
    try {
      return await started
    } finally {
      this.#starting.delete(workspaceId)
    }
  }

  async #start(input: StartInput, signal: AbortSignal): Promise<StartResult> {
    const { workspaceId, generation } = input
    await this.#refuseIfRunning(input, signal)
    // Whatever is there is of an older generation, or of a start whose answer was lost in a crash.
    await this.#remove({ workspaceId }, signal)
    let machine: Machine | undefined
    try {
      machine = await this.#provision(input, signal)
      requirePrivateAddress(machine.privateIp, this.#options.baseUrl)
    } catch (error) {
      const box = { workspaceId, instanceId: machine?.instanceId ?? null }
      // The request may have arrived although its answer did not: no machine without a row.
      throw await this.#undoStart(box, signal.aborted ? signal.reason : error)
    }
    const { instanceId, privateIp } = machine
    this.#remember(workspaceId, { generation, instanceId })
    return { endpointUrl: null, address: privateIp, instanceId, isolation: 'machine' }
  }

  /**
   * The control plane knows no generations: this is what is remembered here. Another replica's starts
   * are kept apart by the lease of the run.
   */
  async #refuseIfRunning(input: StartInput, signal: AbortSignal): Promise<void> {
    const { workspaceId, generation } = input
    const known = this.#known.get(workspaceId)
    if (known === undefined || known.generation < generation) return
    const state = await this.#client.state({ workspaceId, instanceId: known.instanceId }, signal)
    if (state === 'running') throw startedAlready(workspaceId)
  }

  async stop(box: BoxRef): Promise<void> {
    const signal = this.#closed.signal
    await this.#remove(box, signal)
    this.#known.delete(box.workspaceId)
    const instanceId = box.instanceId ?? undefined
    if (instanceId !== undefined) await this.#awaitEnd({ ...box, instanceId }, signal)
  }

  /**
   * Contract/platform 7.4: `running` is, whatever else is not; an answer that is none throws. But a
   * machine that is `pending` boots: who is asked whether it has died must not say yes.
   */
  async isRunning(box: BoxRef): Promise<boolean> {
    const workspaceId = canonicalId(box.workspaceId)
    if (box.instanceId == null) return false
    const { instanceId } = box
    const state = await this.#client.state({ workspaceId, instanceId }, this.#closed.signal)
    if (state !== undefined) return state === 'running' || state === 'pending'
    throw new AppError('control_plane_failed', { internal: 'status: the machine is not known' })
  }

  /** There is no place for it: no file of a machine is within reach, and so none is there. */
  async execRead({ workspaceId }: BoxRef): Promise<Uint8Array | undefined> {
    canonicalId(workspaceId)
    return undefined
  }

  async volumeHasFile({ workspaceId }: BoxRef): Promise<boolean> {
    canonicalId(workspaceId)
    return false
  }

  /** The disk of a machine goes with it. */
  async removeVolume({ workspaceId }: BoxRef): Promise<void> {
    canonicalId(workspaceId)
  }

  async writeAuthToken({ workspaceId }: BoxRef): Promise<boolean> {
    canonicalId(workspaceId)
    return false
  }

  async writeInboundSecret({ workspaceId }: BoxRef): Promise<boolean> {
    canonicalId(workspaceId)
    return false
  }

  async readConsole({ workspaceId }: BoxRef, maxBytes: number): Promise<string> {
    const id = canonicalId(workspaceId)
    const output = Buffer.from(await this.#client.console(id, this.#closed.signal), 'utf8')
    const length = Math.min(output.length, Math.max(0, Math.floor(maxBytes)))
    return printable(output.subarray(output.length - length))
  }

  /**
   * Always empty: the contract has no call that lists machines. What the platform knows of is in its
   * rows, and a start removes what an earlier one of the same workspace may have left.
   */
  async listBoxes(): Promise<readonly ListedBox[]> {
    return []
  }

  /** Never called: a control plane tells nothing by itself, so whoever wants to know asks. */
  onUnexpectedExit(_listener: (exit: UnexpectedExit) => void): void {
    // The liveness sweep asks `isRunning`.
  }

  /** Machines go on: another replica, or this one after its restart, finds them in the rows. */
  async close(): Promise<void> {
    this.#closed.abort(new AppError('shutting_down'))
    await Promise.all([...this.#starting.values()].map(({ settled }) => settled))
    await this.#client.close()
  }

  #remember(workspaceId: string, machine: KnownMachine): void {
    this.#known.delete(workspaceId)
    this.#known.set(workspaceId, machine)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest)
  }

  async #provision(input: StartInput, signal: AbortSignal): Promise<Machine> {
    return this.#client.provision(
      {
        workspaceId: input.workspaceId,
        generation: input.generation,
        runtimeKind: input.runtimeKind,
        tier: input.tier,
        platformUrl: input.env[RUNTIME_ENV.platformUrl] ?? '',
        env: machineEnvironment(input),
      },
      signal,
    )
  }

  async #remove(box: BoxRef, signal: AbortSignal): Promise<void> {
    const workspaceId = canonicalId(box.workspaceId)
    const outcome = await this.#client.remove(
      { workspaceId, instanceId: box.instanceId ?? undefined },
      signal,
    )
    if (outcome !== 'unnamed') return
    // Contract/platform 7.4: without an instance id nothing can be stopped, and that is success.
    this.#options.log.warn({ workspace_id: workspaceId }, 'control_plane.remove_needs_instance')
  }

  /** Resolves with the error to throw. Is not called off together with the start. */
  async #undoStart(box: BoxRef, error: unknown): Promise<unknown> {
    try {
      await this.#remove(box, AbortSignal.timeout(UNDO_TIMEOUT_MS))
      return error
    } catch (removeError) {
      const causes = [error, removeError]
      return new AppError(findAppError(error)?.code ?? 'control_plane_failed', {
        internal: 'the start failed, and a machine may have been left',
        cause: new AggregateError(causes, 'the start failed, and so did its undoing'),
      })
    }
  }

  async #awaitEnd(ref: MachineRef, signal: AbortSignal): Promise<void> {
    const { clock, stopTimeoutMs = STOP_TIMEOUT_MS } = this.#options
    const giveUpAtMs = clock.now().getTime() + stopTimeoutMs
    while ((await this.#client.state(ref, signal)) === 'running') {
      if (clock.now().getTime() > giveUpAtMs) {
        throw new AppError('control_plane_failed', { internal: 'the machine does not end' })
      }
      await clock.sleep(STOP_POLL_MS, signal)
    }
  }
}

function startedAlready(workspaceId: string): Error {
  return new Error(`workspace ${workspaceId} is started already`)
}

/** What is not a canonical UUID never becomes part of a path. */
function canonicalId(workspaceId: string): string {
  if (parseWorkspaceId(workspaceId) !== workspaceId) throw new AppError('invalid_workspace_id')
  return workspaceId
}
