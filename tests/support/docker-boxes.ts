/** @module Docker provisioners of fake runtimes, each with a scope of its own on one engine. */
import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { LABELS } from '../../apps/platform/src/provisioners/docker/box-names.ts'
import {
  createDockerProvisioner,
  type DockerProvisionerOptions,
} from '../../apps/platform/src/provisioners/docker/docker-provisioner.ts'
import { unlessMissing, unlessStatus } from '../../apps/platform/src/provisioners/docker/engine.ts'
import {
  containersWith,
  volumesWith,
} from '../../apps/platform/src/provisioners/docker/engine-lists.ts'
import { DEFAULT_TIERS } from '../../apps/platform/src/provisioners/docker/tier-limits.ts'
import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock, systemIds } from '../../packages/http-kit/src/clock.ts'
import { docker, dockerHost, engine, fakeRuntimeImage, fileIn } from './docker-engine.ts'

/** A scope that nobody else uses. */
export function newScope(): string {
  return `test-${randomUUID()}`
}

/** A provisioner of fake runtimes, not opened yet. */
export async function createDockerIn(
  scope: string,
  overrides: Partial<DockerProvisionerOptions> = {},
): Promise<Provisioner> {
  return createDockerProvisioner({
    dockerHost,
    scope,
    images: { fallback: await fakeRuntimeImage(), byKind: {}, pull: 'never' },
    tiers: DEFAULT_TIERS,
    platformUrl: undefined,
    reach: 'loopback',
    startTimeoutMs: 20_000,
    stopGraceMs: 1_000,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    ids: systemIds,
    ...overrides,
  })
}

/** Everything of a scope or a workspace, with `docker inspect`'s words. */
export async function containersOf(label: { scope?: string; workspaceId?: string }) {
  const containers = await containersWith(engine, labelsOf(label))
  const found = await Promise.all(
    containers.map(({ Id }) => unlessMissing(docker.getContainer(Id).inspect())),
  )
  // One that went away between the two looks is not there.
  return found.filter((each) => each !== undefined)
}

export async function volumesOf(label: {
  scope?: string
  workspaceId?: string
}): Promise<readonly string[]> {
  return (await volumesWith(engine, labelsOf(label))).map(({ Name }) => Name)
}

function labelsOf({ scope, workspaceId }: { scope?: string; workspaceId?: string }) {
  return {
    ...(scope === undefined ? {} : { [LABELS.scope]: scope }),
    ...(workspaceId === undefined ? {} : { [LABELS.workspaceId]: workspaceId }),
  }
}

/** Removes all that tests have left in a scope. */
export async function removeScope(scope: string): Promise<void> {
  for (const { Id } of await containersOf({ scope })) {
    await unlessStatus(docker.getContainer(Id).remove({ force: true, v: true }), [404])
  }
  for (const name of await volumesOf({ scope })) await docker.getVolume(name).remove()
}

/** The only container of a workspace. */
export async function containerOf(workspaceId: string) {
  const [container, ...others] = await containersOf({ workspaceId })
  if (container === undefined || others.length > 0) {
    throw new Error(`${others.length + (container === undefined ? 0 : 1)} containers, not one`)
  }
  return docker.getContainer(container.Id)
}

/** Runs a command in a container as its own user; resolves when it has ended. */
export async function runIn(workspaceId: string, command: readonly string[]): Promise<void> {
  const container = await containerOf(workspaceId)
  const exec = await container.exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true })
  const output = await exec.start({})
  for await (const _piece of output) {
    // Its end is what is waited for.
  }
}

/** A file below `/configs` of a workspace, through its container or through one of our own. */
export async function configFileOf(
  workspaceId: string,
  name: string,
): Promise<{ text: string; mode: number } | undefined> {
  const [found] = await containersOf({ workspaceId })
  const container =
    found === undefined
      ? await docker.createContainer({
          Image: await fakeRuntimeImage(),
          HostConfig: { Binds: [`ws-${workspaceId.slice(0, 12)}-configs:/configs`] },
        })
      : docker.getContainer(found.Id)
  try {
    const file = await fileIn(container, `/configs/${name}`)
    return file === undefined ? undefined : { text: file.text, mode: file.mode }
  } finally {
    if (found === undefined) await container.remove({ force: true })
  }
}
