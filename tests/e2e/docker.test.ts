import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildImage } from '../support/built-images.ts'
import { type ContainerRelays, openContainerRelays } from '../support/container-relays.ts'
import {
  configFileOf,
  containerOf,
  containersOf,
  newScope,
  removeScope,
  volumesOf,
} from '../support/docker-boxes.ts'
import { describeWithOwnDocker, dockerHost } from '../support/docker-engine.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/loaded-modules.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { recordSecret } from '../support/secret-ledger.ts'

describeWithOwnDocker('a platform whose workspaces are containers', () => {
  const scope = newScope()
  let env: Record<string, string>
  let relays: ContainerRelays
  let platform: PlatformProcess
  let workspace: OnlineWorkspace

  beforeAll(async () => {
    const port = await freePort()
    env = {
      PORT: String(port),
      ATRIUM_PROVISIONER: 'docker',
      DOCKER_HOST: dockerHost,
      ATRIUM_DOCKER_SCOPE: scope,
      ATRIUM_DOCKER_IMAGE: await buildImage('workspace-runtime'),
      ATRIUM_DOCKER_PLATFORM_URL: `http://127.0.0.1:${port}`,
    }
    relays = await openContainerRelays(scope, port)
    platform = await startPlatform({ env })
    workspace = await OnlineWorkspace.create(platform, 'boxed')
  }, 600_000)
  afterAll(async () => {
    await platform?.stop()
    await relays?.close()
    await removeScope(scope)
  })

  /** For the audit: what the box holds must be in no log. */
  const noteSecrets = async (): Promise<void> => {
    for (const name of ['.auth_token', '.platform_inbound_secret']) {
      const file = await configFileOf(workspace.id, name)
      expect(file?.mode).toBe(0o600)
      recordSecret(file?.text.trim() ?? '')
    }
  }

  const containerId = async (): Promise<string> => (await containerOf(workspace.id)).id

  type Stored = { readonly uri: string; readonly bytes: Buffer }

  const store = async (): Promise<Stored> => {
    const bytes = randomBytes(300_000)
    const form = new FormData()
    form.append('files', new Blob([bytes]), 'random.bin')
    const headers = workspace.authorization
    const answer = await fetch(workspace.uploadUrl, { method: 'POST', body: form, headers })
    expect(answer.status).toBe(200)
    const { files } = (await answer.json()) as { files: readonly { uri: string }[] }
    return { uri: files[0]?.uri ?? '', bytes }
  }

  const expectStored = async ({ uri, bytes }: Stored): Promise<void> => {
    const answer = await fetch(workspace.downloadUrl(uri), { headers: workspace.authorization })
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  }

  it('moves files in and out of a box, and shows its console', async () => {
    await noteSecrets()
    await expectStored(await store())
    const console = await fetch(`${platform.url}/workspaces/${workspace.id}/console`)
    expect(await console.text()).toContain('runtime.listening')
  })

  it('finds its boxes where they were when it comes back from a crash', async () => {
    const before = await containerId()
    await platform.kill()
    platform = await startPlatform({ env, after: platform })
    workspace = await OnlineWorkspace.reach(platform, workspace.id)
    expect(await containerId()).toBe(before)
    await expectStored(await store())
  })

  it('starts a box again that died, with what it had stored', async () => {
    const before = await containerOf(workspace.id)
    const kept = await store()
    const killed: Promise<unknown> = before.kill({ signal: 'SIGKILL' })
    await killed
    await eventually(async () => {
      const [found, ...others] = await containersOf({ workspaceId: workspace.id })
      return others.length === 0 && found?.State.Running === true && found.Id !== before.id
    }, 60_000)
    workspace = await OnlineWorkspace.reach(platform, workspace.id)
    await expectStored(kept)
  })

  it('leaves nothing of a workspace that is removed', async () => {
    const answer = await fetch(`${platform.url}/workspaces/${workspace.id}`, { method: 'DELETE' })
    expect(answer.status).toBe(200)
    await eventually(async () => {
      const left = [...(await containersOf({ scope })), ...(await volumesOf({ scope }))]
      return left.length === 0
    })
  })
})
