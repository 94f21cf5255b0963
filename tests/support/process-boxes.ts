/** @module Provisioners of child processes in folders of their own, with fake runtimes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { afterEach, beforeEach, expect } from 'vitest'
import type { SandboxOptions } from '../../apps/platform/src/provisioners/open-confinement.ts'
import {
  createProcessProvisioner,
  type ProcessProvisionerOptions,
} from '../../apps/platform/src/provisioners/process-provisioner.ts'
import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock, systemIds } from '../../packages/http-kit/src/clock.ts'
import { ownChildren } from './process-probe.ts'

const FAKE_RUNTIME = fileURLToPath(new URL('./fake-runtime/fake-runtime.ts', import.meta.url))
/** A platform that holds one box, in a process of its own. */
export const HOST_PLATFORM = fileURLToPath(
  new URL('./fake-runtime/host-platform.ts', import.meta.url),
)

export const SANDBOX_OFF: SandboxOptions = {
  mode: 'off',
  codeRoot: fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, ''),
  codeFolders: ['apps/workspace-runtime', 'packages', 'node_modules', 'tests/support/fake-runtime'],
  readable: [],
}
export const SANDBOX_ON: SandboxOptions = { ...SANDBOX_OFF, mode: 'on' }

/** Of the one that every test gets. */
export let baseDir: string
export let provisioner: Provisioner
/** Processes that were there before it. */
export let childrenBefore: readonly number[]

/** Gives every test of the calling block an open one; fails when it leaves a process behind. */
export function provideProcessProvisioner(): void {
  beforeEach(async () => {
    childrenBefore = ownChildren()
    baseDir = makeBase()
    provisioner = createIn(baseDir)
    await provisioner.open()
  })
  afterEach(async () => {
    await provisioner.close()
    rmSync(baseDir, { recursive: true, force: true })
    expect(ownChildren()).toEqual(childrenBefore)
  })
}

/** An empty folder for boxes. */
export function makeBase(): string {
  return mkdtempSync(join(tmpdir(), 'atrium-provisioner-'))
}

/** A provisioner of fake runtimes in that folder, not opened yet. */
export function createIn(
  baseDir: string,
  overrides: Partial<ProcessProvisionerOptions> = {},
): Provisioner {
  return createProcessProvisioner({
    baseDir,
    runtimeEntry: FAKE_RUNTIME,
    nodePath: process.execPath,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    ids: systemIds,
    startTimeoutMs: 10_000,
    stopGraceMs: 700,
    inheritedEnv: { PATH: process.env['PATH'] ?? '' },
    sandbox: SANDBOX_OFF,
    ...overrides,
  })
}

/** Who runs in the box, as its provisioner has written it down. */
export function recordOf(
  baseDir: string,
  workspaceId: string,
): { pid: number; startTicks: number } {
  return JSON.parse(readFileSync(join(baseDir, workspaceId, 'runtime.pid.json'), 'utf8'))
}
