import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tokenInFile } from '../../../apps/cli/src/connect/workspace-token.ts'
import { temporaryFolder } from './cli-harness.ts'

describe('a token in a file', () => {
  it('is another one for every request that the old one was refused for, also at once', async () => {
    const folder = await temporaryFolder()
    try {
      const path = join(folder.path, 'token')
      await writeFile(path, 'old')
      const source = await tokenInFile(path)
      const refused = source.current()
      expect(await source.refresh(refused)).toBe(false)
      const presented = source.current()
      await writeFile(path, 'new')
      const refreshed = await Promise.all([1, 2].map(() => source.refresh(presented)))
      expect(refreshed).toEqual([true, true])
      expect(await source.refresh(presented)).toBe(true)
      expect(source.current().reveal()).toBe('new')
    } finally {
      await folder.remove()
    }
  })
})
