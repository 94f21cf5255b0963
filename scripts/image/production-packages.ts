/** @module Which packages an app needs in production, by the lock file. */
import { z } from 'zod'

const names = z.record(z.string(), z.string()).default({})

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      resolved: z.string().optional(),
      link: z.boolean().optional(),
      dependencies: names,
      peerDependencies: names,
      peerDependenciesMeta: z
        .record(z.string(), z.object({ optional: z.boolean().optional() }))
        .default({}),
    }),
  ),
})

type Packages = z.output<typeof lockFile>['packages']

export type ProductionPackages = {
  /** Folders of packages below `node_modules`, as the lock file names them. */
  readonly installed: readonly string[]
  /** Our own: where Node finds them, and where they are. */
  readonly linked: readonly { readonly path: string; readonly target: string }[]
}

/**
 * Everything that `app` (`apps/platform`) needs, found as Node finds it: dependencies and required
 * peers, nothing optional, nothing for development. Throws when the lock file lacks one of them.
 */
export function productionPackages(lock: unknown, app: string): ProductionPackages {
  const { packages } = lockFile.parse(lock)
  const found = new Set<string>([app])
  // Grows while it is walked.
  for (const path of found) {
    for (const name of needsOf(packages, path)) found.add(placeOf(packages, path, name))
  }
  const installed: string[] = []
  const linked: { path: string; target: string }[] = []
  for (const [path, { link, resolved = '' }] of Object.entries(packages)) {
    if (link === true && found.has(resolved) && resolved !== app) {
      linked.push({ path, target: resolved })
    } else if (found.has(path) && path.includes('node_modules/')) {
      installed.push(path)
    }
  }
  return { installed, linked }
}

function needsOf(packages: Packages, path: string): readonly string[] {
  const entry = packages[path]
  if (entry === undefined) throw new Error(`the lock file has no ${path}`)
  const { dependencies, peerDependencies, peerDependenciesMeta } = entry
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  )
  // Types are for compilers.
  return [...Object.keys(dependencies), ...peers].filter((name) => !name.startsWith('@types/'))
}

/** The nearest one, from the folder of who needs it up to the root; a link is followed. */
function placeOf(packages: Packages, from: string, name: string): string {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    const entry = packages[path]
    if (entry !== undefined) return entry.link === true ? (entry.resolved ?? path) : path
    if (folder === '') throw new Error(`the lock file has no ${name}, which ${from} needs`)
  }
}
