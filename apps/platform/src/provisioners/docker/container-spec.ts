/** @module What the engine is asked to create: one function of the workspace, without I/O. */
import { DEFAULT_RUNTIME_PORT } from '@atrium/runtime-contract/environment'
import type { ContainerCreateOptions, HostConfig } from 'dockerode'
import type { StartInput } from '../provisioner.ts'
import {
  boxName,
  LABELS,
  NETWORK_NAME,
  VOLUME_PLACES,
  type VolumeKind,
  volumeName,
  workspaceLabels,
} from './box-names.ts'
import { containerEnvironment, HOST_ALIAS } from './container-environment.ts'
import { resourceLimits, type TierTable } from './tier-limits.ts'

/** Who a runtime is in every image (contract/runtime 14), and whose its volumes are. */
export const BOX_USER = Object.freeze({ uid: 1000, gid: 1000 })

export const CONTAINER_PORT = `${DEFAULT_RUNTIME_PORT}/tcp`

const OWNED_TMPFS = `rw,noexec,nosuid,nodev,size=64m,uid=${BOX_USER.uid},gid=${BOX_USER.gid},mode=0700`
const SHARED_TMPFS = 'rw,noexec,nosuid,nodev,size=64m,mode=1777'

/**
 * How the platform reaches a box: at a port that is published on loopback, or by its name, where the
 * platform is itself a container on the same network (contract/platform 4.2, 6a).
 */
export type Reach = 'loopback' | 'network'

export type ContainerSettings = {
  readonly scope: string
  readonly tiers: TierTable
  /** How a container reaches the platform; undefined: the start input's URL, with loopback replaced. */
  readonly platformUrl: string | undefined
  readonly reach: Reach
}

/** Which volumes a tier has. The first stores nothing but its configuration (contract/platform 7.4). */
export function volumesOfTier(tier: number): readonly VolumeKind[] {
  return tier === 1
    ? ['configs', 'console']
    : ['configs', 'workspace', 'home', 'plugins', 'console']
}

/**
 * The container of one start. Whatever the tier: no privilege, no capability, no engine socket, no
 * namespace of the host's (ADR-0018).
 */
export function containerSpec(
  settings: ContainerSettings,
  input: StartInput,
  image: string,
): ContainerCreateOptions & { readonly name: string } {
  const name = boxName(input.workspaceId)
  const env = containerEnvironment(input, settings.platformUrl)
  return {
    name,
    Hostname: name,
    Image: image,
    User: `${BOX_USER.uid}:${BOX_USER.gid}`,
    Env: [...env],
    Labels: {
      ...workspaceLabels(settings.scope, input.workspaceId),
      [LABELS.generation]: String(input.generation),
    },
    ExposedPorts: { [CONTAINER_PORT]: {} },
    NetworkingConfig: { EndpointsConfig: { [NETWORK_NAME]: { Aliases: [name] } } },
    HostConfig: {
      ...hostConfig(settings, input),
      ...(env.some((each) => each.includes(`//${HOST_ALIAS}`))
        ? { ExtraHosts: [`${HOST_ALIAS}:host-gateway`] }
        : {}),
    },
  }
}

function hostConfig(settings: ContainerSettings, input: StartInput): HostConfig {
  return {
    ...resourceLimits(input.tier, settings.tiers),
    ...(input.tier === 1
      ? {
          ReadonlyRootfs: true,
          Tmpfs: {
            '/tmp': SHARED_TMPFS,
            [VOLUME_PLACES.workspace]: OWNED_TMPFS,
            [VOLUME_PLACES.home]: OWNED_TMPFS,
            [VOLUME_PLACES.plugins]: OWNED_TMPFS,
          },
        }
      : {}),
    Binds: volumesOfTier(input.tier).map(
      (kind) => `${volumeName(input.workspaceId, kind)}:${VOLUME_PLACES[kind]}`,
    ),
    NetworkMode: NETWORK_NAME,
    PortBindings:
      settings.reach === 'network'
        ? {}
        : { [CONTAINER_PORT]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
    // Its deaths are the platform's to see and to answer: started again behind its back, a box would
    // have another port than the one that is written down (ADR-0018).
    RestartPolicy: { Name: 'no' },
    // Somebody has to wait for the orphans of an agent's commands, or they fill its limit of processes.
    Init: true,
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
    IpcMode: 'private',
    // A console that nobody bounds fills the engine's disk.
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
  }
}
