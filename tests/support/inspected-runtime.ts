/** @module A platform, and a workspace of it whose runtime is a real one with folders of its own. */
import { afterAll, beforeAll } from 'vitest'
import type { OnlineWorkspace } from './platform-harness.ts'
import { type Answer, send } from './raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from './runtime-harness.ts'
import { platform, sharePlatform } from './shared-platform.ts'

export let runtime: RuntimeHarness
export let workspace: OnlineWorkspace

const NOWHERE = 'http://127.0.0.1:9'

/** All tests of the calling file share them; no descriptor is left open after the last. */
export function provideInspectedRuntime(): void {
  sharePlatform()
  let openBefore: number
  beforeAll(async () => {
    openBefore = openFiles()
    // Its secret is minted with it, and the runtime is given it like a box is.
    workspace = await platform.onlineWorkspace(NOWHERE)
    runtime = await startRuntimeHarness({ secretFile: workspace.inboundSecret })
    await platform.client.sql`
      UPDATE workspaces SET endpoint_url = ${runtime.url} WHERE id = ${workspace.id}`
  })
  afterAll(async () => {
    await runtime.stop()
    await expectOpenFiles(openBefore)
  })
}

/** Asks the platform; `rest` is what follows `/workspaces/:id/`, exactly as it is to be sent. */
export const ask = (rest: string, init: RequestInit = {}): Promise<Response> =>
  platform.request(`/workspaces/${workspace.id}/${rest}`, init)

/** Asks the runtime itself. */
export const askDirectly = (target: string): Promise<Answer> =>
  send(new URL(target, runtime.url), {
    headers: { authorization: `Bearer ${workspace.inboundSecret}` },
  })
