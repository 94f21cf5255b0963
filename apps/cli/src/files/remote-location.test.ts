import { parseSessionPath } from '@atrium/path-safety/session-path'
import { parseFolderPath } from '@atrium/path-safety/workspace-path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CliFailure, EXIT } from '../failure.ts'
import {
  absolutePathOf,
  lastName,
  parseRemoteLocation,
  sessionRelativePathOf,
} from './remote-location.ts'

function exitCodeOf(run: () => unknown): number | undefined {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof CliFailure) return thrown.exitCode
    throw thrown
  }
  return undefined
}

describe('parseRemoteLocation', () => {
  it.each([
    ['hello', 'hello', ''],
    ['hello:', 'hello', ''],
    ['hello:/home/a', 'hello', '/home/a'],
    ['hello:a:b:c', 'hello', 'a:b:c'],
    ['hello:workspace:/workspace/a', 'hello', 'workspace:/workspace/a'],
    ['two words: a b ', 'two words', ' a b '],
  ])('splits %j at the first colon', (text, workspace, path) => {
    expect(parseRemoteLocation(text)).toEqual({ workspace, path })
  })

  it('wants a workspace', () => {
    expect(exitCodeOf(() => parseRemoteLocation(':/workspace'))).toBe(EXIT.usage)
    expect(exitCodeOf(() => parseRemoteLocation(''))).toBe(EXIT.usage)
  })
})

describe('absolutePathOf', () => {
  it.each([
    ['', '/workspace'],
    ['.', '/workspace'],
    ['./', '/workspace'],
    ['sub/a.txt', '/workspace/sub/a.txt'],
    ['./sub//a.txt', '/workspace/sub/a.txt'],
    ['/configs/', '/configs'],
    ['/home/a/.//b/', '/home/a/b'],
    ['workspace:/workspace/a', '/workspace/a'],
    ['workspace:a', '/workspace/workspace:a'],
    ['~/a', '/workspace/~/a'],
    [' a ', '/workspace/ a '],
  ])('means by %j the path %j', (path, expected) => {
    expect(absolutePathOf(path)).toBe(expected)
  })

  it('leaves `..` for the platform to refuse', () => {
    expect(absolutePathOf('a/../b')).toBe('/workspace/a/../b')
    expect(parseFolderPath([absolutePathOf('a/../b')]).ok).toBe(false)
  })
})

describe('sessionRelativePathOf', () => {
  it.each([
    ['', '.'],
    ['./', '.'],
    ['a/b/', 'a/b'],
    ['~a', './~a/'],
    [' a', './ a/'],
    ['a ', './a /'],
  ])('writes %j as %j', (path, expected) => {
    expect(sessionRelativePathOf(path)).toBe(expected)
  })

  it('refuses an absolute path', () => {
    expect(exitCodeOf(() => sessionRelativePathOf('/workspace/a'))).toBe(EXIT.usage)
  })

  it('reaches every name that a folder can have', () => {
    const isScalar = (point: number) => point < 0xd800 || point > 0xdfff
    const name = fc
      .string({
        unit: fc.oneof(
          fc.constantFrom(' ', '~', '.', '\u3000'),
          // Not `unit: 'binary'`, which takes seconds to count every character there is.
          fc
            .nat(0x10_ffff)
            .filter(isScalar)
            .map((point) => String.fromCodePoint(point)),
        ),
        minLength: 1,
        maxLength: 8,
      })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the platform refuses these.
      .filter((text) => !/[/\u0000-\u001f]/.test(text) && text !== '.' && text !== '..')
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
        const verdict = parseSessionPath([sessionRelativePathOf(names.join('/'))])
        expect(verdict.ok && verdict.path.segments).toEqual(names)
      }),
    )
  })
})

describe('lastName', () => {
  it.each([
    ['/workspace/a.txt', 'a.txt'],
    ['./a /', 'a '],
    ['.', undefined],
    ['/', undefined],
    ['a/..', undefined],
  ])('finds in %j the name %j', (path, expected) => {
    expect(lastName(path)).toBe(expected)
  })
})
