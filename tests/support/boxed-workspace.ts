/** @module A fresh workspace for every test of a file, whose box the test plays. */
import { afterEach, beforeEach } from 'vitest'
import type { OnlineWorkspace } from './platform-harness.ts'
import { platform, sharePlatform } from './shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from './workspace-server.ts'

export let box: WorkspaceServer
export let workspace: OnlineWorkspace

/** All tests of the calling file share a platform of this environment. */
export function provideBoxedWorkspace(env: Record<string, string>): void {
  sharePlatform(env)
  beforeEach(async () => {
    box = await startWorkspaceServer()
    workspace = await platform.onlineWorkspace(box.url)
  })
  afterEach(async () => {
    await box.close()
  })
}
