import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  FILE_CONTENT_PATH,
  FILE_LIST_PATH,
  FILE_PREVIEW_PATH,
} from '@atrium/runtime-contract/file-inspection'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { send } from '../../support/raw-client.ts'
import { expectRefusal } from '../../support/shared-runtime.ts'

const SESSION = 'abc1234'
const CLOSED_FILE = `workspace/${SESSION}/closed.txt`
const CLOSED_FOLDER = `workspace/${SESSION}/closed`

// Root reads everything, unless what lets it is taken from the process for good (capabilities(7)).
const TAKEN = '-dac_override,-dac_read_search'
const UNPRIVILEGED = [`--bounding-set=${TAKEN}`, `--inh-caps=${TAKEN}`]
const isRoot = process.geteuid?.() === 0
const canStart = !isRoot || spawnSync('setpriv', [...UNPRIVILEGED, 'true']).status === 0

let base: string
let child: ChildProcess
let runtime: { readonly url: string; readonly secret: string }

beforeAll(async () => {
  if (!canStart) return
  base = mkdtempSync(join(tmpdir(), 'atrium-unreadable-'))
  for (const path of [CLOSED_FILE, `${CLOSED_FOLDER}/file.txt`]) {
    mkdirSync(dirname(join(base, path)), { recursive: true })
    writeFileSync(join(base, path), 'nobody may read this')
  }
  chmodSync(join(base, CLOSED_FILE), 0)
  chmodSync(join(base, CLOSED_FOLDER), 0)
  const program = new URL('../../support/runtime-child.ts', import.meta.url)
  const start = isRoot ? { execPath: 'setpriv', execArgv: [...UNPRIVILEGED, process.execPath] } : {}
  child = fork(program, [base], start)
  const [ready] = await once(child, 'message')
  runtime = ready
})

afterAll(async () => {
  if (!canStart) return
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
  chmodSync(join(base, CLOSED_FOLDER), 0o700)
  rmSync(base, { recursive: true })
})

describe.runIf(canStart)('what the runtime may not read', () => {
  const inSession = (path: string): string => `session=${SESSION}&path=${path}`

  it.each([
    `${FILE_READ_PATH}?path=/${CLOSED_FILE}`,
    `${FILE_READ_PATH}?path=/${CLOSED_FOLDER}/file.txt`,
    `${FILE_PREVIEW_PATH}?path=/${CLOSED_FILE}`,
    `${FILE_PREVIEW_PATH}?path=/${CLOSED_FOLDER}/file.txt`,
    `${FILE_PREVIEW_PATH}?${inSession('closed.txt')}`,
    `${FILE_CONTENT_PATH}?${inSession('closed.txt')}`,
    `${FILE_CONTENT_PATH}?${inSession('closed/file.txt')}`,
    `${FILE_LIST_PATH}?path=/${CLOSED_FOLDER}`,
    `${FILE_LIST_PATH}?${inSession('closed')}`,
  ])('is refused with 403, and nothing of it is told: %s', async (target) => {
    const headers = { authorization: `Bearer ${runtime.secret}` }
    const answer = await send(new URL(target, runtime.url), { headers })
    expectRefusal(answer, 403, 'file is not readable', 'file_forbidden')
    expect(answer.body.toString()).not.toContain('closed')
  })

  it('is listed with what may be known of it', async () => {
    const headers = { authorization: `Bearer ${runtime.secret}` }
    const target = `${FILE_LIST_PATH}?path=/workspace/${SESSION}`
    const answer = await send(new URL(target, runtime.url), { headers })
    expect(JSON.parse(answer.body.toString()).entries).toEqual([
      expect.objectContaining({ name: 'closed', type: 'dir', mode: 0 }),
      expect.objectContaining({ name: 'closed.txt', type: 'file', mode: 0, size: 20 }),
    ])
  })
})
