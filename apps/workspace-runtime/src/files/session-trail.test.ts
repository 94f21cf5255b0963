import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SessionTrail } from './session-trail.ts'

const HOME = '/srv/workspace/abc1234'

/** A link by its target, a folder by its entries, a file by null. */
type Tree = { readonly [name: string]: Tree | string | null }

/** Where the path ends, or how the trail does. */
function walk(tree: Tree, path: string, home = HOME): string {
  const trail = new SessionTrail(home, path === '.' ? [] : path.split('/'))
  for (;;) {
    const step = trail.next()
    if (step.kind === 'arrived') return ['.', ...trail.names].join('/')
    if (step.kind !== 'enter') return step.kind
    const end = look(tree, trail, step.name)
    if (end !== undefined) return end
  }
}

function look(tree: Tree, trail: SessionTrail, name: string): string | undefined {
  const found = lookUp(tree, [...trail.names, name])
  if (typeof found === 'string') return trail.followed(found) ? undefined : 'lost'
  if (found === undefined || (found === null && trail.hasMore)) return 'missing'
  trail.entered(name)
  return undefined
}

function lookUp(tree: Tree, names: readonly string[]): Tree | string | null | undefined {
  let at: Tree | string | null | undefined = tree
  for (const name of names) {
    if (typeof at !== 'object' || at === null) return undefined
    at = Object.hasOwn(at, name) ? at[name] : undefined
  }
  return at
}

const TREE: Tree = {
  file: null,
  folder: { file: null, inner: { file: null, up: '../../file', top: '../..' } },
  'to-file': 'file',
  'to-folder': 'folder',
  'to-folder-slash': './folder//',
  'through-link': 'to-folder/inner/up',
  'from-link': 'to-folder/../file',
  absolute: `${HOME}/folder/file`,
  'absolute-home': HOME,
  'absolute-round': '/srv/../srv/workspace/./abc1234/../abc1234/file',
  'out-and-in': '../abc1234/file',
  'far-out-and-in': '../../workspace/abc1234/folder',
  'above-the-top': '../../../../../../srv/workspace/abc1234/file',
  parent: '..',
  'parent-of-home': `${HOME}/..`,
  sibling: '../abc1235/file',
  'sibling-prefix': '../abc1234x/file',
  'absolute-prefix': `${HOME}x/file`,
  'below-sibling': '../abc1235/../abc1234/file',
  etc: '/etc/passwd',
  top: '/',
  'file-below-file': 'file/../file',
  dangling: 'nowhere',
  'dangling-out': '../nowhere',
  loop: 'loop',
  one: 'two',
  two: 'one',
  grows: 'grows/grows',
}

describe('the way through the folder of a session', () => {
  it.each([
    ['.', '.'],
    ['file', './file'],
    ['folder/inner/file', './folder/inner/file'],
    ['to-file', './file'],
    ['to-folder/file', './folder/file'],
    ['to-folder-slash/file', './folder/file'],
    ['through-link', './file'],
    ['from-link', './file'],
    ['folder/inner/top', '.'],
    ['folder/inner/top/file', './file'],
    ['absolute', './folder/file'],
    ['absolute-home', '.'],
    ['absolute-home/file', './file'],
    ['absolute-round', './file'],
    ['out-and-in', './file'],
    ['far-out-and-in/inner', './folder/inner'],
    ['above-the-top', './file'],
  ])('leads %s to %s', (path, end) => {
    expect(walk(TREE, path)).toBe(end)
  })

  it.each([
    'parent',
    'parent-of-home',
    'sibling',
    'sibling-prefix',
    'absolute-prefix',
    'below-sibling',
    'etc',
    'top',
    'dangling-out',
    'folder/inner/top/parent',
  ])('says that %s leads out', (path) => {
    expect(walk(TREE, path)).toBe('escaped')
  })

  it.each(['nothing', 'dangling', 'file/file', 'file-below-file', 'to-file/file'])(
    'finds nothing under %s',
    (path) => {
      expect(walk(TREE, path)).toBe('missing')
    },
  )

  it.each(['loop', 'one', 'grows'])('gives %s up', (path) => {
    expect(walk(TREE, path)).toBe('lost')
  })

  it('follows 40 links and no 41st', () => {
    const chain = (links: number): Tree =>
      Object.fromEntries(
        Array.from({ length: links + 1 }, (_, index) => [
          `link${index}`,
          index === links ? null : `link${index + 1}`,
        ]),
      )
    expect(walk(chain(40), 'link0')).toBe('./link40')
    expect(walk(chain(41), 'link0')).toBe('lost')
  })

  it('ends, whatever forty links multiply to', () => {
    const wide = Array.from({ length: 2_000 }, () => 'again/..').join('/')
    expect(walk({ again: {}, wide, more: `${wide}/../more` }, 'more')).toMatch(/^(lost|escaped)$/)
    expect(walk({ again: {}, x: `${wide}/${'x/../'.repeat(100)}x` }, 'x')).toBe('lost')
  })

  it('counts what it costs to turn back: every name of the way down again', () => {
    const bounces = (times: number): string[] => [
      ...Array.from({ length: 400 }, () => 'deep'),
      ...Array.from({ length: times }, () => ['x', '..']).flat(),
    ]
    // A few turns, as in any tree of installed packages, are no matter.
    expect(openAll(bounces(20))).toEqual({ kind: 'arrived', opens: 8_420 })
    const { kind, opens } = openAll(bounces(4_000))
    expect(kind).toBe('lost')
    expect(opens).toBeLessThan(10_000)
  })

  it('goes no deeper than any folder has a path', () => {
    const deep = (levels: number): string[] => Array.from({ length: levels }, () => 'deep')
    expect(openAll(deep(2_048)).kind).toBe('arrived')
    expect(openAll(deep(2_049)).kind).toBe('lost')
    expect(openAll([...deep(2_049), '..', '..']).kind).toBe('lost')
  })

  it('has everything inside when the folder is the top', () => {
    const tree = { file: null, up: '../../file', absolute: '/file' }
    expect(walk(tree, 'up', '/')).toBe('./file')
    expect(walk(tree, 'absolute', '/')).toBe('./file')
  })

  it('never asks for anything but a name in the folder, whatever links say', () => {
    const piece = fc.oneof(
      fc.constantFrom('..', '.', '', 'a', 'b', 'c', 'srv', 'workspace', 'abc1234'),
      fc.string({ maxLength: 3 }),
    )
    const target = fc
      .array(piece, { minLength: 1, maxLength: 12 })
      .map((pieces) => pieces.join('/'))
    const answers = fc.array(fc.option(target, { freq: 2 }), { maxLength: 60 })
    const segments = fc.array(fc.constantFrom('a', 'b', 'c'))
    fc.assert(
      fc.property(segments, answers, (names, found) => {
        for (const name of namesMet(names, found)) expect(name).not.toMatch(/^\.{0,2}$|\//)
      }),
    )
  })
})

/** How many names are opened where every one is a folder, and only the last of them is held. */
function openAll(names: readonly string[]): { readonly kind: string; readonly opens: number } {
  const trail = new SessionTrail(HOME, names)
  let [held, opens] = [0, 0]
  for (;;) {
    const step = trail.next()
    const isElsewhere = held !== trail.names.length
    if (step.kind !== 'lost' && isElsewhere) opens += trail.names.length
    if (step.kind !== 'enter') return { kind: step.kind, opens }
    trail.entered(step.name)
    opens += 1
    held = trail.names.length
  }
}

/** What a trail asks for when it is answered so: null is a folder, anything else a link. */
function* namesMet(segments: readonly string[], found: readonly (string | null)[]) {
  const trail = new SessionTrail(HOME, segments)
  for (const link of found) {
    const step = trail.next()
    if (step.kind !== 'enter') return
    yield step.name
    if (link === null) trail.entered(step.name)
    else if (!trail.followed(link)) return
    yield* trail.names
  }
}
