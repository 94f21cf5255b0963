import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({ integrity: z.string().optional(), link: z.boolean().optional() }),
  ),
})

describe('package-lock.json', () => {
  it('pins the bytes of every package, those for other platforms too', () => {
    const text = readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')
    const entries = Object.entries(lockfile.parse(JSON.parse(text)).packages)
    const unpinned = entries
      .filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
      .filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true)
    expect(unpinned.map(([path]) => path)).toEqual([])
    expect(entries.length).toBeGreaterThan(100)
  })
})
