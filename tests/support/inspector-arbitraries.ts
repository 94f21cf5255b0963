/** @module Requests to the inspector as nobody sane makes them, over a tree as nobody sane keeps one. */
import { execFileSync } from 'node:child_process'
import { linkSync, symlinkSync, writeFileSync } from 'node:fs'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import fc from 'fast-check'
import type { Answer } from './raw-client.ts'
import type { RuntimeHarness } from './runtime-harness.ts'

export const FUZZED_SESSION = 'abc1234'
/** Stands in every name and every file outside of the roots, and of the session. */
export const OUTSIDE_MARK = 'OUTSIDE-of-everything'

const UNFINISHED = `.up-${'0'.repeat(24)}.part`
const LINKS = {
  'link-in': 'folder/file.txt',
  'link-folder': 'folder',
  'link-up': '../file.txt',
  'link-self': '.',
  'link-loop': 'link-loop',
  'link-nowhere': 'nowhere',
  'link-etc': '/etc',
  'link-root': '/',
  'link-proc': '/proc/self/root',
  'link-round': `../../workspace/${FUZZED_SESSION}/folder`,
  'link-beside': `../${FUZZED_SESSION}x/file.txt`,
} as const
const ODD_NAMES = [
  'ünï',
  'e\u0301',
  ' blanks ',
  '~',
  '...',
  'a..b',
  '%2e%2e',
  'a\\b',
  '\u202e',
  '．．',
]

/** Files, folders, links in and out, FIFOs, a credential's hard link, names that are no text. */
export function makeFuzzedTree(runtime: RuntimeHarness): void {
  const outside = runtime.place(`/outside/${OUTSIDE_MARK}`, OUTSIDE_MARK)
  runtime.place(`/workspace/${FUZZED_SESSION}x/file.txt`, 'of no session')
  for (const root of ['/workspace', `/workspace/${FUZZED_SESSION}`, '/home']) {
    runtime.place(`${root}/file.txt`)
    runtime.place(`${root}/folder/file.txt`, 'é'.repeat(3_000))
    runtime.place(`${root}/folder/wide.txt`, Buffer.from('\ufeffa😀b\n'.repeat(300), 'utf16le'))
    runtime.place(`${root}/folder/binary`, Buffer.from([0, 0xff, 0xfe]))
    runtime.place(`${root}/${UNFINISHED}`, 'unfinished')
    for (const name of ODD_NAMES) runtime.place(`${root}/folder/${name}/file.txt`)
    for (const folder of [root, `${root}/folder`]) layTraps(runtime, folder, outside)
  }
  runtime.place('/configs/config.yaml')
}

function layTraps(runtime: RuntimeHarness, folder: string, outside: string): void {
  const local = (name: string): string => runtime.local(`${folder}/${name}`)
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, local(name))
  symlinkSync(outside, local('link-outside'))
  symlinkSync(runtime.local('/outside'), local('link-away'))
  symlinkSync(runtime.local('/configs'), local('link-configs'))
  symlinkSync(runtime.local(`/workspace/${FUZZED_SESSION}/folder`), local('link-absolute'))
  linkSync(runtime.local(`/configs/${INBOUND_SECRET_FILE}`), local('hard'))
  execFileSync('mkfifo', [local('fifo')])
  writeFileSync(Buffer.concat([Buffer.from(`${local('raw-')}`), Buffer.from([0xff])]), 'raw')
}

const known = fc.constantFrom(
  ...[
    'file.txt',
    'folder',
    'fifo',
    'hard',
    'binary',
    'wide.txt',
    UNFINISHED,
    FUZZED_SESSION,
    'config.yaml',
  ],
  ...[
    ...Object.keys(LINKS),
    'link-outside',
    'link-away',
    'link-configs',
    'link-absolute',
    ...ODD_NAMES,
  ],
  ...[INBOUND_SECRET_FILE, INBOUND_SECRET_FILE.toUpperCase(), OUTSIDE_MARK, 'passwd', 'outside'],
)
const hostile = fc.constantFrom(
  '..',
  '.',
  '',
  '\0',
  '\n',
  '\u007f',
  '..\\',
  '%00',
  '..%2f',
  '*',
  '-',
)
// Mostly what is there, so that not everything ends at its first name.
const frequent = fc.constantFrom(
  'file.txt',
  'folder',
  'link-in',
  'link-folder',
  'link-self',
  'fifo',
)
const segment = fc.oneof(
  { weight: 30, arbitrary: frequent },
  { weight: 15, arbitrary: known },
  { weight: 1, arbitrary: hostile },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: 254, max: 257 }).map((length) => 'n'.repeat(length)) },
)
const hostileStart = fc.constantFrom(
  '/',
  '//',
  '/workspaceX/',
  '/etc/',
  '~/',
  './',
  ' ',
  '/plugins/',
)
const last = fc.oneof(
  { weight: 12, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('/', ' ', '/.') },
)

/** Mostly as they begin where they are right; then the text alone refuses few. */
function textPath(starts: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const start = fc.oneof({ weight: 12, arbitrary: starts }, { weight: 1, arbitrary: hostileStart })
  return fc
    .tuple(start, fc.array(segment, { minLength: 1, maxLength: 4 }), last)
    .map(([first, segments, end]) => Buffer.from(`${first}${segments.join('/')}${end}`))
}

const longPath = fc
  .integer({ min: 1_000, max: 1_400 })
  .map((length) => Buffer.from(`/workspace/${'dd/'.repeat(length)}f`))
function anyPath(starts: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 30, arbitrary: textPath(starts) },
    { weight: 1, arbitrary: longPath },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)) },
  )
}

function anyPaths(starts: fc.Arbitrary<string>): fc.Arbitrary<readonly Buffer[]> {
  return fc.oneof(
    { weight: 20, arbitrary: anyPath(starts).map((path) => [path]) },
    { weight: 1, arbitrary: fc.array(anyPath(starts), { maxLength: 2 }) },
  )
}

const anyNumber = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '1',
    '7',
    '1000',
    '1001',
    '-1',
    '1e3',
    '0x1',
    ' 1',
    '١',
    '99999999999999999',
  ),
  fc.nat(5_000).map(String),
)

export type FuzzedRequest = {
  readonly operation: 'list' | 'preview' | 'read' | 'content'
  /** As it is sent; nothing when undefined. */
  readonly session: string | undefined
  /** Every value that is sent, as bytes: not all of them are text. */
  readonly paths: readonly Buffer[]
  readonly window: Readonly<Record<string, string>>
}

const anyWindow = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(fc.constantFrom('limit', 'offset', 'tail', 'cursor'), anyNumber, {
      maxKeys: 2,
      noNullPrototype: true,
    }),
  },
)

const ofFiles: fc.Arbitrary<FuzzedRequest> = fc.record({
  operation: fc.constantFrom('list', 'preview', 'read'),
  session: fc.constant(undefined),
  paths: anyPaths(fc.constantFrom('/workspace/', '/home/', '/configs/')),
  window: anyWindow,
})
const wrongSession = fc.constantFrom('', 'abc1235', 'ABC1234', '..', `${FUZZED_SESSION}x`, 'a/b')
/** What is there, so that windows are looked at as often as paths. */
const served = fc.constantFrom(
  ...['', 'file.txt', 'folder', 'folder/file.txt', 'folder/wide.txt', 'folder/binary'],
  ...[
    'link-in',
    'link-folder',
    'folder/link-up',
    'link-absolute/wide.txt',
    'link-round/file.txt',
    'link-self/./link-folder/wide.txt',
  ],
)
/** Into files of up to some six thousand bytes, and behind them. */
const fittingWindow = fc.oneof(
  fc.constant({}),
  fc.record({ offset: fc.nat(7_000).map(String) }),
  fc.record({
    offset: fc.nat(7_000).map(String),
    limit: fc.integer({ min: 1, max: 40 }).map(String),
  }),
  fc.record({ tail: fc.integer({ min: 1, max: 7_000 }).map(String) }),
  fc.record({
    limit: fc.integer({ min: 1, max: 12 }).map(String),
    cursor: fc.base64String({ maxLength: 8 }),
  }),
)
const ofSession = {
  operation: fc.constantFrom('list', 'preview', 'content'),
  session: fc.oneof(
    { weight: 12, arbitrary: fc.constant(FUZZED_SESSION) },
    { weight: 1, arbitrary: wrongSession },
  ),
} as const
const ofSessions: fc.Arbitrary<FuzzedRequest> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      ...ofSession,
      paths: anyPaths(fc.constantFrom('', '', './')),
      window: anyWindow,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...ofSession,
      paths: served.map((path) => [Buffer.from(path)]),
      window: fittingWindow,
    }),
  },
)

export const anyRequest = fc.oneof(ofFiles, ofSessions)

/** As part of a route: two dots there are another route, and gone before anything is sent. */
export const anySessionRequest = ofSessions.filter(({ session }) => session !== '..')

/** Everything that an answer tells, base64 undone. */
export function toldBy(answer: Answer): string {
  const text = answer.body.toString('latin1')
  const content = /"content_base64":"([^"]*)"/.exec(text)?.[1] ?? ''
  return text + Buffer.from(content, 'base64').toString('latin1')
}
