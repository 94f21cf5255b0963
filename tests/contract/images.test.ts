import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Container, ContainerCreateOptions } from 'dockerode'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { putFiles } from '../../apps/platform/src/provisioners/docker/box-archive.ts'
import { NETWORK_NAME } from '../../apps/platform/src/provisioners/docker/box-names.ts'
import { ensureNetwork } from '../../apps/platform/src/provisioners/docker/box-network.ts'
import { createApp } from '../../apps/workspace-runtime/src/app.ts'
import type { AppDeps } from '../../apps/workspace-runtime/src/deps.ts'
import { buildImage, filesOfImage } from '../support/built-images.ts'
import { containerOf, newScope, removeScope } from '../support/docker-boxes.ts'
import { describeWithDocker, docker, dockerHost, engine, fileIn } from '../support/docker-engine.ts'
import { eventually } from '../support/eventually.ts'
import { freePort, isHealthy, loadedModules } from '../support/loaded-modules.ts'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts'

const BUILD_TIMEOUT_MS = 600_000
const ENTRIES = {
  'workspace-runtime': 'apps/workspace-runtime/src/main.ts',
  platform: 'apps/platform/src/main.ts',
} as const

const lockFile = z.object({
  packages: z.record(z.string(), z.object({ optional: z.boolean().optional() })),
})

type Files = ReadonlyMap<string, string>

/** What the program needs and the image does not have, byte for byte. */
function missingIn(files: Files, modules: readonly string[]): readonly string[] {
  return modules.filter((path) => {
    const bytes = readFileSync(join(PROJECT_ROOT, path))
    return files.get(path) !== createHash('sha256').update(bytes).digest('hex')
  })
}

/** Of a package that its user can do without: an image has none of them. */
function isOptional(path: string): boolean {
  const lock = lockFile.parse(
    JSON.parse(readFileSync(join(PROJECT_ROOT, 'package-lock.json'), 'utf8')),
  )
  return Object.entries(lock.packages).some(
    ([folder, { optional }]) => optional === true && path.startsWith(`${folder}/`),
  )
}

/** As the running app has them, so that a new one is called too. */
function internalRoutes(): readonly { method: string; path: string }[] {
  const app = createApp({ isA2aOpen: false } as AppDeps)
  return app.routes.filter(({ method, path }) => method !== 'ALL' && path.startsWith('/internal/'))
}

describeWithDocker('images', () => {
  const images = { 'workspace-runtime': '', platform: '' }
  const started: Container[] = []
  let database: TestDatabase | undefined

  beforeAll(async () => {
    images['workspace-runtime'] = await buildImage('workspace-runtime')
    images.platform = await buildImage('platform')
  }, BUILD_TIMEOUT_MS)
  afterEach(async () => {
    for (const container of started.splice(0)) await container.remove({ force: true, v: true })
    await database?.drop()
    database = undefined
  })

  /** On the host's network and loopback only, so that everything in a test reaches everything. */
  const run = async (
    options: ContainerCreateOptions,
    files: Readonly<Record<string, string>> = {},
  ): Promise<Container> => {
    const container = await docker.createContainer({
      ...options,
      HostConfig: {
        NetworkMode: 'host',
        Init: true,
        CapDrop: ['ALL'],
        // As compose.yaml runs it, with its data folder on a volume.
        ...(options.Image === images.platform
          ? { ReadonlyRootfs: true, Tmpfs: { '/data': 'uid=1000,gid=1000', '/tmp': 'noexec' } }
          : {}),
      },
    })
    started.push(container)
    const entries = Object.entries(files)
    if (entries.length > 0) {
      await putFiles(container, '/configs', {
        files: entries.map(([path, content]) => ({ path, content, mode: 0o600 })),
      })
    }
    await container.start()
    return container
  }

  const startPlatform = async (): Promise<{ url: string; adminToken: string }> => {
    database = await createTestDatabase()
    const port = await freePort()
    const adminToken = randomBytes(16).toString('hex')
    await run({
      Image: images.platform,
      Env: [
        'HOST=127.0.0.1',
        `PORT=${port}`,
        `DATABASE_URL=${database.url}`,
        `ADMIN_TOKEN=${adminToken}`,
        `ATRIUM_ENCRYPTION_KEY=${randomBytes(32).toString('base64')}`,
        'ATRIUM_ALLOW_LOOPBACK_AGENTS=1',
      ],
    })
    const url = `http://127.0.0.1:${port}`
    await eventually(() => isHealthy(url), 60_000)
    return { url, adminToken }
  }

  const startRuntime = async (
    env: readonly string[],
    files: Readonly<Record<string, string>>,
  ): Promise<{ url: string; container: Container }> => {
    const port = await freePort()
    const container = await run(
      {
        Image: images['workspace-runtime'],
        Env: ['ATRIUM_LISTEN_HOST=127.0.0.1', `PORT=${port}`, ...env],
      },
      files,
    )
    const url = `http://127.0.0.1:${port}`
    await eventually(() => isHealthy(url), 60_000)
    return { url, container }
  }

  describe.each(['workspace-runtime', 'platform'] as const)('of %s', (app) => {
    it('holds every file that its program loads, as it is in the checkout', async () => {
      const env: Record<string, string> = {
        WORKSPACE_ID: randomUUID(),
        PLATFORM_URL: 'http://127.0.0.1:9',
      }
      if (app === 'platform') {
        database = await createTestDatabase()
        Object.assign(env, {
          DATABASE_URL: database.url,
          ADMIN_TOKEN: randomBytes(16).toString('hex'),
          ATRIUM_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
          // The only part that is loaded on demand.
          ATRIUM_PROVISIONER: 'docker',
          DOCKER_HOST: dockerHost,
          ATRIUM_DOCKER_SCOPE: `test-${randomUUID()}`,
        })
      }
      const loaded = await loadedModules(ENTRIES[app], env)
      const modules = loaded.filter((path) => !isOptional(path))
      expect(modules).toContain(ENTRIES[app])
      expect(modules.length).toBeGreaterThan(100)
      const files = await filesOfImage(images[app], '/app')
      expect(missingIn(files, modules)).toEqual([])
      // The gate itself: without one of them it is shut.
      const left = modules.find((path) => path.startsWith('node_modules/')) ?? ''
      expect(missingIn(new Map([...files].filter(([path]) => path !== left)), modules)).toEqual([
        left,
      ])
    })

    it('holds no test, type, map, compiler or package manager, and runs as nobody in particular', async () => {
      const names = [...(await filesOfImage(images[app], '/app')).keys()]
      expect(names.filter((name) => /\.test\.ts$|\.d\.ts$|\.map$/.test(name))).toEqual([])
      const packages = names.map((name) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1])
      for (const tool of ['npm', 'typescript', 'vitest', '@biomejs/biome', 'node', 'turbo']) {
        expect(packages).not.toContain(tool)
      }
      const binaries = [...(await filesOfImage(images[app], '/usr/local/bin')).keys()]
      expect(binaries).toEqual(['node'])
      const { Config } = await docker.getImage(images[app]).inspect()
      expect(Config.User).toBe('1000:1000')
    })
  })

  it('let a runtime serve its card and admit nobody without the secret', async () => {
    const { url, container } = await startRuntime(
      [`WORKSPACE_ID=${randomUUID()}`, 'PLATFORM_URL=http://127.0.0.1:9'],
      {
        '.auth_token': 'a',
        '.platform_inbound_secret': 'the-secret',
        'config.yaml': 'name: smoke\n',
      },
    )
    const card = await fetch(`${url}/.well-known/agent-card.json`)
    const { name } = z.object({ name: z.string() }).parse(await card.json())
    expect([card.status, name]).toEqual([200, 'smoke'])
    const routes = internalRoutes()
    expect(routes.length).toBeGreaterThanOrEqual(2)
    for (const { method, path } of routes) {
      for (const headers of [{}, { authorization: 'Bearer other' }]) {
        const answer = await fetch(`${url}${path}`, { method, headers })
        expect([method, path, answer.status]).toEqual([method, path, 401])
      }
    }
    const read = await fetch(`${url}/internal/file/read?path=/configs/config.yaml`, {
      headers: { authorization: 'Bearer the-secret' },
    })
    expect([read.status, await read.text()]).toEqual([200, 'name: smoke\n'])
    const { Processes } = z
      .object({ Processes: z.array(z.array(z.string())) })
      .parse(await container.top({ ps_args: '-o pid,uid,comm' }))
    expect(new Set(Processes.map(([, uid]) => uid))).toEqual(new Set(['1000']))
  })

  it('let a platform that is a container reach boxes by name, with nothing published', async () => {
    const scope = newScope()
    const workspaceId = randomUUID()
    const program = `
      const { createDockerProvisioner } = await import('/app/apps/platform/src/provisioners/docker/docker-provisioner.ts')
      const { systemClock: clock, systemIds: ids } = await import('/app/packages/http-kit/src/clock.ts')
      const { Secret } = await import('/app/packages/http-kit/src/secret.ts')
      const { DEFAULT_TIERS: tiers } = await import('/app/apps/platform/src/provisioners/docker/tier-limits.ts')
      const log = { info() {}, warn() {}, error: console.error }
      const provisioner = createDockerProvisioner({
        dockerHost: 'unix:///engine.sock', scope: '${scope}', tiers, reach: 'network', clock, ids, log,
        images: { fallback: '${images['workspace-runtime']}', byKind: {}, pull: 'never' },
        platformUrl: 'http://platform:8080', startTimeoutMs: 20_000,
      })
      await provisioner.open()
      const { endpointUrl } = await provisioner.start({
        workspaceId: '${workspaceId}', generation: 1, runtimeKind: 'echo', tier: 2,
        configFiles: new Map(), env: {}, secretEnv: {},
        credentials: { authToken: new Secret('a'), inboundSecret: new Secret('b') },
      }, new AbortController().signal)
      const card = await fetch(endpointUrl + '/.well-known/agent-card.json')
      console.log(endpointUrl, card.status)
      await provisioner.close()
    `
    try {
      await ensureNetwork(engine)
      const platform = await docker.createContainer({
        Image: images.platform,
        // The socket is root's.
        User: '0:0',
        Cmd: ['node', '--input-type=module', '--eval', program],
        HostConfig: {
          NetworkMode: NETWORK_NAME,
          Binds: [`${new URL(dockerHost).pathname}:/engine.sock`],
        },
      })
      started.push(platform)
      await platform.start()
      await platform.wait()
      const said: Promise<Buffer> = platform.logs({ stdout: true, stderr: true, follow: false })
      expect((await said).toString()).toContain(`http://ws-${workspaceId.slice(0, 12)}:8000 200`)
      const box = await (await containerOf(workspaceId)).inspect()
      expect(box.NetworkSettings.Ports['8000/tcp'] ?? null).toBe(null)
      expect(box.Config.Env).toContain('PLATFORM_URL=http://platform:8080')
    } finally {
      await removeScope(scope)
    }
  })

  it('let a runtime join a platform, each in its container', async () => {
    const { url, adminToken } = await startPlatform()
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }
    const created = await fetch(`${url}/workspaces`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'joiner', external: true }),
    })
    const { id, connection } = z
      .object({ id: z.string(), connection: z.object({ auth_token: z.string().min(1) }) })
      .parse(await created.json())
    const { container } = await startRuntime([`WORKSPACE_ID=${id}`, `PLATFORM_URL=${url}`], {
      '.auth_token': connection.auth_token,
    })
    await eventually(async () => {
      const row = await (await fetch(`${url}/workspaces/${id}`, { headers })).json()
      return z.object({ status: z.string() }).parse(row).status === 'online'
    }, 60_000)
    // The answer to its registration brought the secret by which it knows the platform.
    const secret = await eventually(() => fileIn(container, '/configs/.platform_inbound_secret'))
    expect(secret).toMatchObject({ mode: 0o600, uid: 1000 })
  })
})
