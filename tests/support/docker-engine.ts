/**
 * @module The Docker Engine that tests use, when there is one: `DOCKER_HOST`, or the usual socket.
 * Without one its tests are skipped and say so; with `ATRIUM_REQUIRE_ENGINES=1` they fail instead.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type Docker from 'dockerode'
import { extract, pack } from 'tar-stream'
import { describe, it } from 'vitest'
import { connectEngine, unlessMissing } from '../../apps/platform/src/provisioners/docker/engine.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const BASE_SCRIPT = join(ROOT, 'scripts/node-base-image.sh')

export const dockerHost = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'
export const engine = connectEngine(dockerHost)
export const docker: Docker = engine.calls

const whyNoEngine = await reasonForNoEngine()

async function reasonForNoEngine(): Promise<string | undefined> {
  try {
    const answer: Promise<unknown> = docker.ping()
    await answer
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `no Docker Engine at ${dockerHost} (${reason}); scripts/docker-engine.sh starts one`
  }
}

/** A block of tests that need an engine. */
export function describeWithDocker(name: string, block: () => void): void {
  describeUnless(whyNoEngine, name, block)
}

/** A block of tests that also enter the namespaces of containers. */
export function describeWithOwnDocker(name: string, block: () => void): void {
  const isRoot = process.getuid?.() === 0
  describeUnless(whyNoEngine ?? (isRoot ? undefined : 'needs root beside its engine'), name, block)
}

function describeUnless(reason: string | undefined, name: string, block: () => void): void {
  if (reason === undefined) {
    describe(name, block)
  } else if (process.env['ATRIUM_REQUIRE_ENGINES'] === '1') {
    describe(name, () => {
      it('has an engine to run on', () => {
        throw new Error(reason)
      })
    })
  } else {
    process.stderr.write(`skipped: ${name}: ${reason}\n`)
    describe.skip(`${name} (skipped: ${reason})`, block)
  }
}

const made = new Map<string, Promise<string>>()

function once(name: string, make: () => Promise<string>): Promise<string> {
  const image = made.get(name) ?? make()
  made.set(name, image)
  return image
}

/** The base image made of this machine's own Node, made once per engine. */
export function baseImage(): Promise<string> {
  return once('base', makeBaseImage)
}

/** The fake runtime in an image with the folders that a runtime needs. */
export function fakeRuntimeImage(): Promise<string> {
  return once('fake', makeFakeRuntimeImage)
}

async function makeBaseImage(): Promise<string> {
  const node = join(ROOT, 'node_modules/node/bin/node')
  const image = `atrium-node-base:${fingerprint(readFileSync(BASE_SCRIPT), readFileSync(node))}`
  if ((await unlessMissing(docker.getImage(image).inspect())) !== undefined) return image
  await promisify(execFile)(BASE_SCRIPT, [image, node], {
    env: { ...process.env, DOCKER_HOST: dockerHost },
  })
  return image
}

async function makeFakeRuntimeImage(): Promise<string> {
  const program = readFileSync(join(import.meta.dirname, 'fake-runtime/fake-runtime.ts'))
  const dockerfile = [
    `FROM ${await baseImage()}`,
    'COPY --chown=1000:1000 roots/ /',
    'COPY fake-runtime.ts package.json /app/',
    'USER 1000:1000',
    'CMD ["node", "/app/fake-runtime.ts"]',
  ].join('\n')
  const image = `atrium-fake-runtime:${fingerprint(Buffer.from(dockerfile), program)}`
  if ((await unlessMissing(docker.getImage(image).inspect())) !== undefined) return image
  const context = pack()
  context.entry({ name: 'Dockerfile' }, dockerfile)
  context.entry({ name: 'package.json' }, '{"type":"module"}')
  context.entry({ name: 'fake-runtime.ts' }, program)
  for (const root of ['configs', 'workspace', 'home', 'plugins']) {
    context.entry({ name: `roots/${root}/`, type: 'directory', mode: 0o700 })
  }
  context.finalize()
  await build(Readable.from(context), image)
  return image
}

async function build(context: NodeJS.ReadableStream, image: string): Promise<void> {
  const building: Promise<NodeJS.ReadableStream> = docker.buildImage(context, {
    t: image,
    networkmode: 'none',
  })
  const { promise, resolve: done, reject } = Promise.withResolvers<unknown>()
  docker.modem.followProgress(await building, (error: Error | null, output: unknown) =>
    error === null ? done(output) : reject(error),
  )
  await promise
}

function fingerprint(...parts: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex').slice(0, 16)
}

/** A file of a container or below its volumes, running or not, with its mode and owner. */
export async function fileIn(
  container: Docker.Container,
  path: string,
): Promise<{ text: string; mode: number; uid: number } | undefined> {
  const stream = await unlessMissing(container.getArchive({ path }))
  if (stream === undefined) return undefined
  const archive = extract()
  stream.pipe(archive)
  for await (const entry of archive) {
    const { mode = 0, uid = 0 } = entry.header
    return { text: (await buffer(entry)).toString(), mode: mode & 0o777, uid }
  }
  return undefined
}
