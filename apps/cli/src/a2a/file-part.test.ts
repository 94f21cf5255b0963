import { describe, expect, it } from 'vitest'
import { nameInPath, workspacePathOf } from './file-part.ts'

describe('workspacePathOf', () => {
  it.each([
    ['workspace:/workspace/a b.txt', '/workspace/a b.txt'],
    ['/workspace/a.txt', '/workspace/a.txt'],
    ['workspace:relative', undefined],
    ['https://example.org/a.txt', undefined],
    ['a.txt', undefined],
    ['', undefined],
  ])('reads %j as %j', (given, expected) => {
    expect(workspacePathOf(given)).toBe(expected)
  })
})

describe('nameInPath', () => {
  it.each([
    [`/workspace/.molecule/chat-uploads/${'a1'.repeat(16)}-report.pdf`, 'report.pdf'],
    [`/workspace/${'a1'.repeat(16)}-`, `${'a1'.repeat(16)}-`],
    ['/workspace/plain.txt', 'plain.txt'],
  ])('takes the name out of %j', (path, expected) => {
    expect(nameInPath(path)).toBe(expected)
  })
})
