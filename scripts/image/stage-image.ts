/**
 * @module Gathers what an image holds in `.atrium/image/<app>`: sources without tests and the packages
 * of the lock file, from this checkout. So a build needs no network, and no npm is in the image.
 */
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { productionPackages } from './production-packages.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** What an app needs at its place in the image besides code. */
const EXTRAS: Readonly<Record<string, readonly string[]>> = {
  platform: ['migrations'],
  'workspace-runtime': ['apps/workspace-runtime/bin'],
}
/** Folders in the root of the image that belong to its user. */
const OWN_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  platform: ['data'],
  'workspace-runtime': ['configs', 'workspace', 'home', 'plugins'],
}
export const IMAGE_APPS = Object.keys(OWN_FOLDERS)

/** Of no use where nothing is compiled, tested or debugged. */
const LEFT_OUT = /(\.d\.[cm]?ts|\.map|\.test\.ts|\.tsbuildinfo)$/

/** Replaces what was gathered before; returns the folder. */
export async function stageImage(app: string): Promise<string> {
  const target = join(ROOT, '.atrium/image', app)
  await rm(target, { recursive: true, force: true })
  const lock: unknown = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'))
  const { installed, linked } = productionPackages(lock, `apps/${app}`)
  const code = join(target, 'app')
  const sources = [`apps/${app}`, ...linked.map((each) => each.target)]
  for (const path of sources) {
    await copy(join(path, 'package.json'), code)
    await copy(join(path, 'src'), code)
  }
  // A nested package comes with the one around it; its own turn only writes it again.
  for (const path of [...installed, ...(EXTRAS[app] ?? [])]) await copy(path, code)
  for (const { path, target: to } of linked) await link(join(code, path), join(code, to))
  await writeFile(join(code, 'package.json'), '{ "private": true, "type": "module" }\n')
  for (const name of OWN_FOLDERS[app] ?? []) {
    await mkdir(join(target, 'roots', name), { recursive: true, mode: 0o700 })
  }
  return target
}

async function copy(path: string, code: string): Promise<void> {
  await cp(join(ROOT, path), join(code, path), {
    recursive: true,
    // What npm nests belongs to the closure only when the lock file says so.
    filter: (from) => !LEFT_OUT.test(from) && !isNested(relative(join(ROOT, path), from)),
  })
}

function isNested(inside: string): boolean {
  return inside.split('/').includes('node_modules') || basename(inside) === '.bin'
}

async function link(place: string, target: string): Promise<void> {
  await mkdir(dirname(place), { recursive: true })
  await symlink(relative(dirname(place), target), place)
}
