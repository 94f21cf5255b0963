/** @module One start: way is made, the container created, filled, started and heard. */
import { AppError } from '@atrium/http-kit/app-error'
import { AUTH_TOKEN_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import { DEFAULT_RUNTIME_PORT } from '@atrium/runtime-contract/environment'
import type { Container } from 'dockerode'
import { configSegments } from '../box-folder.ts'
import { printable } from '../console-tail.ts'
import type { StartInput } from '../provisioner.ts'
import { redactSecrets } from '../redact-secrets.ts'
import { awaitHealthy } from './await-healthy.ts'
import { type ArchiveFile, putFiles } from './box-archive.ts'
import { boxName, VOLUME_PLACES } from './box-names.ts'
import { ensureNetwork } from './box-network.ts'
import { ensureVolumes } from './box-volumes.ts'
import {
  CONTAINER_PORT,
  type ContainerSettings,
  containerSpec,
  volumesOfTier,
} from './container-spec.ts'
import { type BoxDeps, endBox, findBoxes } from './docker-boxes.ts'
import { containerOutput } from './docker-console.ts'
import { engineStatusOf, unlessMissing } from './engine.ts'
import { exitReason } from './exit-reason.ts'
import { type ImageTable, imageFor, pullIfMissing } from './images.ts'

const FAILURE_TAIL_BYTES = 2_048
/** Others may create and remove boxes of the same workspace between two steps of ours. */
const CREATE_ATTEMPTS = 5

export type StartDeps = BoxDeps &
  ContainerSettings & {
    readonly images: ImageTable
    readonly startTimeoutMs: number
    readonly stopGraceMs: number
  }

export type StartedBox = {
  readonly containerId: string
  readonly host: string
  readonly port: number
}

/**
 * Starts the box of `input`. Older boxes are ended first; a newer one, or a running one of the same
 * generation, refuses. Whatever it throws, nothing of this start is left running.
 */
export async function startBox(
  deps: StartDeps,
  input: StartInput,
  signal: AbortSignal,
): Promise<StartedBox> {
  const files = filesOf(input)
  signal.throwIfAborted()
  await ensureNetwork(deps.engine)
  await pullIfMissing(deps, imageFor(deps.images, input.runtimeKind), signal)
  const container = await createAlone(deps, input, signal)
  try {
    // Through this container, and so never over the files of one that has replaced it.
    await putFiles(container, VOLUME_PLACES.configs, { files })
    signal.throwIfAborted()
    await container.start({ abortSignal: signal })
    const place = await placeOf(deps, container, input.workspaceId)
    await awaitHealthy({
      place,
      clock: deps.clock,
      timeoutMs: deps.startTimeoutMs,
      signal,
      whyEnded: () => whyEnded(container),
    })
    return { containerId: container.id, ...place }
  } catch (error) {
    throw await undo(deps, { container, input, error, signal })
  }
}

type Failure = {
  readonly container: Container
  readonly input: StartInput
  readonly error: unknown
  readonly signal: AbortSignal
}

/** Ends what was begun; returns what the caller throws. */
async function undo(deps: StartDeps, failure: Failure): Promise<unknown> {
  const { container, input, error, signal } = failure
  const { workspaceId } = input
  const tail = await lastWords(deps, container)
  try {
    await endBox(deps, { containerId: container.id, workspaceId, isEnding: false }, 0)
  } catch (endError) {
    return new AggregateError([error, endError], 'the start failed and may have left a container')
  }
  if (signal.aborted) return signal.reason
  const reason = error instanceof Error ? error.message : String(error)
  const said = redactSecrets(tail, [
    ...Object.values(input.credentials),
    ...Object.values(input.secretEnv),
  ])
  return new AppError('internal', {
    internal: `workspace start failed: ${reason}; its console ends with: ${said}`,
    cause: error,
  })
}

/** Best effort: what cannot be read is no reason to leave a container behind. */
async function lastWords({ engine, log }: StartDeps, container: Container): Promise<string> {
  try {
    return printable(await containerOutput(engine, container, FAILURE_TAIL_BYTES))
  } catch (error) {
    log.warn({ err: error }, 'provisioner.console_incomplete')
    return ''
  }
}

function filesOf({ credentials, configFiles }: StartInput): readonly ArchiveFile[] {
  return [
    ...[...configFiles].map(([path, content]) => ({
      path: configSegments(path).join('/'),
      content,
      mode: 0o600,
    })),
    { path: AUTH_TOKEN_FILE, content: credentials.authToken.reveal(), mode: 0o600 },
    { path: INBOUND_SECRET_FILE, content: credentials.inboundSecret.reveal(), mode: 0o600 },
  ]
}

/** Creates the container once its name is free, which only an older generation makes way for. */
async function createAlone(
  deps: StartDeps,
  input: StartInput,
  signal: AbortSignal,
): Promise<Container> {
  const image = imageFor(deps.images, input.runtimeKind)
  const { name, ...spec } = containerSpec(deps, input, image)
  for (let attempt = 1; ; attempt += 1) {
    await makeWay(deps, input)
    signal.throwIfAborted()
    await ensureVolumes(deps, input.workspaceId, volumesOfTier(input.tier))
    try {
      return await deps.engine.calls.createContainer({ name, ...spec })
    } catch (error) {
      if (engineStatusOf(error) !== 409) throw createFailure(error, image)
      if (attempt === CREATE_ATTEMPTS) {
        throw new Error(`the name ${name} is taken by a container of somebody else`, {
          cause: error,
        })
      }
    }
  }
}

async function makeWay(deps: StartDeps, input: StartInput): Promise<void> {
  const { workspaceId, generation } = input
  for (const box of await findBoxes(deps, { workspaceId })) {
    if (box.generation > generation) {
      throw new Error(`superseded: workspace ${workspaceId} is started already, by a newer start`)
    }
    if (box.generation === generation && box.isRunning && !box.isEnding) {
      throw new Error(`workspace ${workspaceId} is started already`)
    }
    await endBox(deps, box, deps.stopGraceMs)
  }
}

function createFailure(error: unknown, image: string): unknown {
  if (engineStatusOf(error) !== 404) return error
  return new AppError('internal', {
    internal: `workspace start failed: the engine has no image ${image} (docs/guides/docker.md)`,
    cause: error,
  })
}

async function placeOf(
  { reach }: StartDeps,
  container: Container,
  workspaceId: string,
): Promise<{ readonly host: string; readonly port: number }> {
  if (reach === 'network') return { host: boxName(workspaceId), port: DEFAULT_RUNTIME_PORT }
  const { NetworkSettings, State } = await container.inspect()
  const port = Number(NetworkSettings.Ports[CONTAINER_PORT]?.[0]?.HostPort)
  if (Number.isInteger(port) && port > 0) return { host: '127.0.0.1', port }
  // One that has ended has no port any more.
  if (!State.Running) throw new Error(`the runtime ended before it was ready: ${exitReason(State)}`)
  throw new Error('the engine has published no port')
}

async function whyEnded(container: Container): Promise<string | undefined> {
  const found = await unlessMissing(container.inspect())
  if (found === undefined) return 'its container was removed'
  return found.State.Running ? undefined : exitReason(found.State)
}

/** Whether a box that has just answered is still there. */
export async function isAlive(
  { engine }: StartDeps,
  { containerId }: StartedBox,
): Promise<boolean> {
  return (await whyEnded(engine.calls.getContainer(containerId))) === undefined
}
