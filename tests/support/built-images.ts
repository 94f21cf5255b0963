/** @module The images of this checkout, built on the local base: no registry, no network. */
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { baseImage, docker, dockerHost } from './docker-engine.ts'
import { PROJECT_ROOT } from './platform-process.ts'
import { runProcess } from './run-process.ts'

/** Builds `apps/<app>/Dockerfile` the way that `npm run image` does; returns the image's name. */
export async function buildImage(app: 'platform' | 'workspace-runtime'): Promise<string> {
  const base = await baseImage()
  const image = `atrium-test-${app}:built`
  const args = [`NODE_IMAGE=${base}`, `BASE_IMAGE=${base}`].flatMap((arg) => ['--build-arg', arg])
  const { exitCode, stderr } = await runProcess(
    process.execPath,
    ['scripts/image/main.ts', app, image, '--network', 'none', '--quiet', ...args],
    {
      cwd: PROJECT_ROOT,
      // The classic builder: the other one is a plug-in that Debian does not have.
      env: { DOCKER_HOST: dockerHost, DOCKER_BUILDKIT: '0' },
    },
  )
  if (exitCode !== 0) throw new Error(`${image} could not be built: ${stderr}`)
  return image
}

/** Every regular file below a folder of an image, by its path there, with the SHA-256 of its bytes. */
export async function filesOfImage(
  image: string,
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  const container = await docker.createContainer({ Image: image })
  try {
    const archive = extract()
    const stream = await container.getArchive({ path: folder })
    stream.pipe(archive)
    const files = new Map<string, string>()
    for await (const entry of archive) {
      const digest = createHash('sha256')
        .update(await buffer(entry))
        .digest('hex')
      const [, ...path] = entry.header.name.split('/')
      if (entry.header.type === 'file') files.set(path.join('/'), digest)
    }
    return files
  } finally {
    await container.remove({ force: true })
  }
}
