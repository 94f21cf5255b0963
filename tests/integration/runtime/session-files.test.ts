import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, symlinkSync } from 'node:fs'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import { FILE_CONTENT_PATH, FILE_PREVIEW_PATH } from '@atrium/runtime-contract/file-inspection'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../../support/raw-client.ts'
import { startRuntimeHarness } from '../../support/runtime-harness.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

const SESSION = 'abc1234'
const NOT_FOUND = 'path not found in workspace'
const RELATIVE = 'path must be relative to the workspace'
const ESCAPES = 'path escapes the workspace'
const SESSION_ID = 'session id must be 7 lower-case hexadecimal digits'

shareRuntime()

beforeAll(() => {
  runtime.place('/outside/secret.txt', 'outside')
  runtime.place('/workspace/def5678/file.txt', 'another session')
  runtime.place(`/workspace/${SESSION}x/file.txt`, 'no session')
  runtime.place(`/workspace/${SESSION}/file.txt`, 'inside')
  runtime.place(`/workspace/${SESSION}/folder/ name `, 'blanks')
  runtime.place(`/workspace/${SESSION}/~name`, 'tilde')
  runtime.place(`/workspace/${SESSION}/a..b`, 'dots')
  runtime.place(`/workspace/${SESSION}/.up-${'0'.repeat(24)}.part`, 'unfinished')
  runtime.place('/workspace/0000000', 'a file, no folder')
  symlinkSync(SESSION, runtime.local('/workspace/1111111'))
  const inSession = (name: string): string => runtime.local(`/workspace/${SESSION}/${name}`)
  for (const [name, target] of [
    ['inward', 'file.txt'],
    ['to-folder', 'folder'],
    ['folder/up', '../file.txt'],
    ['absolute', inSession('file.txt')],
    ['around', `../${SESSION}/file.txt`],
    ['outward', runtime.local('/outside/secret.txt')],
    ['up-and-out', '../../outside/secret.txt'],
    ['to-other', '../def5678/file.txt'],
    ['to-sibling', `../${SESSION}x/file.txt`],
    ['to-outside', runtime.local('/outside')],
    ['to-etc', '/etc/passwd'],
    ['dangling', 'nowhere'],
    ['loop', 'loop'],
    ['to-unfinished', `.up-${'0'.repeat(24)}.part`],
  ] as const) {
    symlinkSync(target, inSession(name))
  }
  linkSync(runtime.local(`/configs/${INBOUND_SECRET_FILE}`), inSession('hard.txt'))
  mkdirSync(inSession('odd'))
  execFileSync('mkfifo', [inSession('odd/fifo')])
})

const OPERATIONS = [
  [FILE_PREVIEW_PATH, 'text', (text: string) => text],
  [FILE_CONTENT_PATH, 'content_base64', (text: string) => Buffer.from(text).toString('base64')],
] as const

describe.each(OPERATIONS)('GET %s with a session', (route, key, told) => {
  function ask(path: string | undefined, session = SESSION): Promise<Answer> {
    const query = new URLSearchParams({ session, ...(path === undefined ? {} : { path }) })
    return runtime.call(`${route}?${query}`)
  }

  it.each([
    ['file.txt', 'file.txt', 'inside'],
    ['  file.txt\u00a0', 'file.txt', 'inside'],
    ['./folder/.// name /', './folder/.// name /', 'blanks'],
    ['./~name', './~name', 'tilde'],
    ['a..b', 'a..b', 'dots'],
    ['inward', 'inward', 'inside'],
    ['to-folder/up', 'to-folder/up', 'inside'],
    ['absolute', 'absolute', 'inside'],
    ['around', 'around', 'inside'],
  ])('shows %j, following links that stay inside', async (path, echo, content) => {
    const answer = await ask(path)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ path: echo, [key]: told(content) })
  })

  it.each([
    ['/file.txt', RELATIVE],
    ['~/file.txt', RELATIVE],
    ['a\nb', 'path contains control characters'],
    ['a\0b', 'path contains control characters'],
    ['../def5678/file.txt', 'path must not traverse outside the workspace'],
    ['folder/..', 'path must not traverse outside the workspace'],
  ])('refuses the path %j', async (path, message) => {
    expectRefusal(await ask(path), 400, message, 'invalid_path')
  })

  it.each(['outward', 'up-and-out', 'to-other', 'to-sibling', 'to-outside/secret.txt', 'to-etc'])(
    'refuses %s, which leads out',
    async (path) => {
      expectRefusal(await ask(path), 400, ESCAPES, 'path_escape')
    },
  )

  it.each([
    'nowhere',
    'file.txt/below',
    'dangling',
    'loop',
    'hard.txt',
    `.up-${'0'.repeat(24)}.part`,
    'to-unfinished',
    'n'.repeat(256),
    `${'d/'.repeat(2100)}f`,
  ])('knows no %s', async (path) => {
    expectRefusal(await ask(path), 404, NOT_FOUND, 'not_found')
  })

  it.each([undefined, '', '.', './', 'folder', 'to-folder'])(
    'refuses the folder %j',
    async (path) => {
      expectRefusal(await ask(path), 400, 'path is a directory', 'is_a_directory')
    },
  )

  it('refuses a FIFO at once', async () => {
    const startedAt = performance.now()
    const refused = await ask('odd/fifo')
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expectRefusal(refused, 400, 'path is not a regular file', 'not_a_regular_file')
  })

  it.each(['', 'ABC1234', 'abc123', 'abc12345', '../abcd', 'abc123g', 'abc1234\n', '１111111'])(
    'knows no session %j can be',
    async (session) => {
      expectRefusal(await ask('file.txt', session), 400, SESSION_ID, 'invalid_session_id')
    },
  )

  it('refuses a session that is said twice, before the path, and a path that is', async () => {
    const twice = await runtime.call(`${route}?session=${SESSION}&session=${SESSION}&path=../x`)
    expectRefusal(twice, 400, SESSION_ID, 'invalid_session_id')
    const paths = await runtime.call(`${route}?session=${SESSION}&path=file.txt&path=file.txt`)
    expectRefusal(paths, 400, 'path must be given once', 'invalid_path')
  })

  it.each(['9999999', '0000000', '1111111'])(
    'says that there is no workspace %s: absent, a file, a link',
    async (session) => {
      const answer = await ask('file.txt', session)
      expectRefusal(answer, 404, 'workspace does not exist', 'workspace_not_found')
    },
  )

  it('says so too where there is no folder of sessions', async () => {
    const bare = await startRuntimeHarness({ absentRoots: ['workspace'] })
    try {
      const answer = await bare.call(`${route}?session=${SESSION}&path=file.txt`)
      expectRefusal(answer, 404, 'workspace does not exist', 'workspace_not_found')
    } finally {
      await bare.stop()
    }
  })
})
