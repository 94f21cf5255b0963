/** @module How the platform is started: its entry point, and Node's flags for it (ADR-0017). */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'

const PLATFORM_DIR = resolve(import.meta.dirname, '../apps/platform')

const manifest = z.looseObject({ config: z.object({ node_flags: z.string() }) })

/** What follows `node` on the command line; `bootstrap.mjs` reads the same manifest. */
export function platformCommand(): readonly string[] {
  const { config } = manifest.parse(
    JSON.parse(readFileSync(join(PLATFORM_DIR, 'package.json'), 'utf8')),
  )
  return [...config.node_flags.split(' '), join(PLATFORM_DIR, 'src/main.ts')]
}
