/** @module Picks the one back-end of this platform (H38). */
import { join } from 'node:path'
import { createNoProvisioner } from './no-provisioner.ts'
import { createProcessProvisioner, type ProcessProvisionerOptions } from './process-provisioner.ts'
import type { Provisioner } from './provisioner.ts'

export type ProvisionerSettings = {
  readonly provisioner: 'process' | 'none'
  /** The platform's data folder; workspaces live in `workspaces` below it. */
  readonly dataDir: string
  readonly startTimeoutMs: number
}

/** Builds the back-end that the settings name. It is not open yet. */
export function createProvisioner(
  settings: ProvisionerSettings,
  deps: Omit<ProcessProvisionerOptions, 'baseDir' | 'startTimeoutMs'>,
): Provisioner {
  switch (settings.provisioner) {
    case 'none':
      return createNoProvisioner()
    case 'process':
      return createProcessProvisioner({
        ...deps,
        baseDir: join(settings.dataDir, 'workspaces'),
        startTimeoutMs: settings.startTimeoutMs,
      })
  }
}
