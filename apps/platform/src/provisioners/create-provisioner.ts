/** @module Picks the one back-end of this platform (H38). */
import { join } from 'node:path'
import type { Secret } from '@atrium/http-kit/secret'
import type { ControlPlaneOptions } from './control-plane/control-plane-client.ts'
import { createControlPlaneProvisioner } from './control-plane/control-plane-provisioner.ts'
import type { DockerSettings } from './docker/docker-settings.ts'
import { createNoProvisioner } from './no-provisioner.ts'
import { createProcessProvisioner, type ProcessProvisionerOptions } from './process-provisioner.ts'
import type { Provisioner } from './provisioner.ts'

export type ProvisionerSettings = {
  readonly provisioner: 'process' | 'docker' | 'control-plane' | 'none'
  /** The platform's data folder; workspaces live in `workspaces` below it. */
  readonly dataDir: string
  readonly startTimeoutMs: number
  readonly identity: { readonly adminToken: Secret | undefined }
  readonly controlPlane: Omit<ControlPlaneOptions, 'adminToken'>
  readonly docker: DockerSettings
}

/** Builds the back-end that the settings name. It is not open yet. */
export async function createProvisioner(
  settings: ProvisionerSettings,
  deps: Omit<ProcessProvisionerOptions, 'baseDir' | 'startTimeoutMs'>,
): Promise<Provisioner> {
  switch (settings.provisioner) {
    case 'none':
      return createNoProvisioner()
    case 'docker': {
      // Loaded by who uses it only: the engine's client takes 30 MiB (ADR-0018).
      const { createDockerProvisioner } = await import('./docker/docker-provisioner.ts')
      const { startTimeoutMs } = settings
      return createDockerProvisioner({ ...settings.docker, ...deps, startTimeoutMs })
    }
    case 'process':
      return createProcessProvisioner({
        ...deps,
        baseDir: join(settings.dataDir, 'workspaces'),
        startTimeoutMs: settings.startTimeoutMs,
      })
    case 'control-plane':
      return createControlPlaneProvisioner({
        ...settings.controlPlane,
        adminToken: settings.identity.adminToken,
        log: deps.log,
        clock: deps.clock,
      })
  }
}
