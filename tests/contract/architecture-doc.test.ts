import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const NAMED_FILE =
  /(?:apps|packages|tests|docs|scripts|migrations)\/[\w./-]+\.(?:test\.)?(?:ts|md|sh|sql)/g

function namedFiles(document: string): string[] {
  return [...new Set(readFileSync(join(ROOT, document), 'utf8').match(NAMED_FILE) ?? [])]
}

describe.each(['ARCHITECTURE.md', 'README.md', 'CONTRIBUTING.md'])('%s', (document) => {
  it('names files', () => {
    expect(namedFiles(document).length).toBeGreaterThan(0)
  })

  it.each(namedFiles(document))('%s exists', (file) => {
    expect(existsSync(join(ROOT, file))).toBe(true)
  })
})
