/**
 * @module What the first design of the session inspector got wrong (contract/runtime 20.5), each held
 * by a test that fails on it: a reader that looks at a path, opens it then, and answers in one piece.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAttack } from '../support/attack.ts'
import type { Attack } from '../support/attacker.ts'
import type { SessionScene } from '../support/session-scene.ts'
import { answerOf, namesOf, refusalOf } from './session-inspector-contract.ts'

const SESSION = 'c1d2e3f'
const OUTSIDE = 'd1d2e3f'

const MANY = 1_005
const DOWNLOAD_CAP = 8_388_608
const PREVIEW_CAP = 262_144
/** For each attack; with ATRIUM_ATTACK_SECONDS that many seconds for all of them. */
const ATTACK_MS = process.env['ATRIUM_ATTACK_SECONDS']
  ? (Number(process.env['ATRIUM_ATTACK_SECONDS']) * 1000) / 2
  : 500
const ATTACK_CEILING_MS = 20_000
/** What never blocks answers at once; a reader that waits would take its 20 s. */
const AT_ONCE_MS = 10_000

const FORBIDDEN = [403, 'file_forbidden', 'file is not readable']
const NOT_REGULAR = [400, 'not_a_regular_file', 'path is not a regular file']

/** `scene` is running while the tests run. */
export function sessionWeakPoints(scene: () => SessionScene): void {
  const local = (name: string): string => join(scene().sessions, SESSION, name)
  const get = (operation: string, query: Record<string, string>) =>
    scene().get(SESSION, operation, query)
  const shown = async (query: Record<string, string>) => answerOf(await get('/preview', query))
  let socket: Server

  beforeAll(async () => {
    for (const each of ['many', 'special', 'churn', 'closed']) {
      mkdirSync(local(each), { recursive: true })
    }
    for (let index = 0; index < MANY; index += 1) writeFileSync(local(`many/${index}`), '')
    writeFileSync(local('cut'), `${'a'.repeat(PREVIEW_CAP - 1)}é${'b'.repeat(8)}`)
    writeFileSync(local('wide'), Buffer.from('\ufeffa😀b', 'utf16le'))
    writeFileSync(local('nul'), 'a\0b')
    writeFileSync(local('latin'), Buffer.from('caf\xe9 au lait', 'latin1'))
    writeFileSync(local('large'), Buffer.alloc(DOWNLOAD_CAP + 5, 'large '))
    writeFileSync(local(' blanks '), 'blanks')
    writeFileSync(local('~tilde'), 'tilde')
    const strange = Buffer.concat([Buffer.from(`${local('special')}/`), Buffer.from([0x61, 0xff])])
    writeFileSync(strange, '')
    spawnSync('mkfifo', [local('special/fifo')])
    socket = createServer()
    await new Promise<void>((resolve) => {
      socket.listen(local('special/socket'), resolve)
    })
  })
  afterAll(() => {
    socket.close()
  })

  it('calls no text binary because the cap cuts a character', async () => {
    const first = await shown({ path: 'cut' })
    expect(first).toMatchObject({ binary: false, truncated: true, next_offset: PREVIEW_CAP - 1 })
    expect(first['text']).toBe('a'.repeat(PREVIEW_CAP - 1))
    const second = await shown({ path: 'cut', offset: String(first['next_offset']) })
    expect(second).toMatchObject({ binary: false, text: 'ébbbbbbbb', next_offset: PREVIEW_CAP + 9 })
  })

  it('begins a window behind the character that it would cut', async () => {
    const tail = await shown({ path: 'cut', tail: '9' })
    expect(tail).toMatchObject({ offset: PREVIEW_CAP + 1, text: 'bbbbbbbb', truncated: true })
    const wide = await shown({ path: 'wide', offset: '6' })
    expect(wide).toMatchObject({ encoding: 'utf-16le', offset: 8, text: 'b' })
    expect(await shown({ path: 'wide', limit: '6' })).toMatchObject({ text: 'a', next_offset: 4 })
  })

  it('tells text from bytes by what is there, and not by where it is cut', async () => {
    const nothing = { binary: true, encoding: null, text: null, lines: null }
    expect(await shown({ path: 'nul' })).toMatchObject(nothing)
    expect(await shown({ path: 'latin' })).toMatchObject(nothing)
    expect(await shown({ path: 'wide' })).toMatchObject({ binary: false, text: 'a😀b', lines: 1 })
  })

  it('goes on where a page ended, complete and without repeats', async () => {
    const names: string[] = []
    let cursor: unknown
    do {
      const from: Record<string, string> = typeof cursor === 'string' ? { cursor } : {}
      const page = await answerOf(await get('', { path: 'many', limit: '600', ...from }))
      names.push(...namesOf(page))
      expect(page['truncated']).toBe(page['next_cursor'] !== null)
      cursor = page['next_cursor']
    } while (cursor !== null)
    expect(names).toEqual(Array.from({ length: MANY }, (_, index) => `${index}`).toSorted())
    const capped = await answerOf(await get('', { path: 'many' }))
    expect(namesOf(capped)).toEqual(names.slice(0, 1_000))
    expect(capped).toMatchObject({ truncated: true })
  })

  it('goes on where a download ended', async () => {
    const first = await answerOf(await get('/download', { path: 'large' }))
    expect(first).toMatchObject({ size: DOWNLOAD_CAP + 5, offset: 0, truncated: true })
    const rest = { path: 'large', offset: String(DOWNLOAD_CAP) }
    const second = await answerOf(await get('/download', rest))
    expect(second).toMatchObject({ offset: DOWNLOAD_CAP, truncated: false })
    // What lies before a window does not make it truncated, and does not hide what lies behind.
    const between = await answerOf(await get('/download', { path: 'large', offset: '2' }))
    expect(between).toMatchObject({ offset: 2, truncated: true })
    const pieces = [first, second].map((each) => String(each['content_base64']))
    const whole = Buffer.concat(pieces.map((each) => Buffer.from(each, 'base64')))
    expect(whole.equals(Buffer.alloc(DOWNLOAD_CAP + 5, 'large '))).toBe(true)
    // Base64 once is a third more; twice would be 78 % (20.5).
    expect(pieces[0]?.length).toBeLessThan(DOWNLOAD_CAP * 1.34)
  })

  it('lists a folder whose entries vanish meanwhile', async () => {
    for (let index = 0; index < 100; index += 1) writeFileSync(local(`churn/stays-${index}`), '')
    let isOver = false
    const churning = (async () => {
      while (!isOver) {
        // Short turns: a runtime in this very process takes its own in between.
        for (let index = 0; index < 10; index += 1) writeFileSync(local(`churn/goes-${index}`), '')
        await new Promise(setImmediate)
        for (let index = 0; index < 10; index += 1) rmSync(local(`churn/goes-${index}`))
        await new Promise(setImmediate)
      }
    })()
    try {
      for (let turn = 0; turn < 4; turn += 1) {
        const page = await answerOf(await get('', { path: 'churn' }))
        const stays = namesOf(page).filter((name) => name.startsWith('stays'))
        expect(stays).toHaveLength(100)
        // Of what has vanished nothing is told, not even that it was there.
        expect(JSON.stringify(page)).not.toContain('"mtime":0,')
      }
    } finally {
      isOver = true
      await churning
    }
  })

  it('waits for nobody at a FIFO or a socket', async () => {
    const startedAt = performance.now()
    for (const name of ['special/fifo', 'special/socket']) {
      const answers = ['/preview', '/download'].map((each) => get(each, { path: name }))
      for (const answer of await Promise.all(answers)) {
        expect(await refusalOf(answer)).toEqual(NOT_REGULAR)
      }
    }
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS)
    const listed = await answerOf(await get('', { path: 'special' }))
    expect(listed['entries']).toMatchObject([
      { name: 'a\ufffd', name_base64: 'Yf8=', type: 'file' },
      { name: 'fifo', type: 'file' },
      { name: 'socket', type: 'file' },
    ])
  })

  it('says that something is forbidden, and nothing of what is in it', async () => {
    // Root may read everything; the jobs of a host lose that capability, this very process does not.
    if (!scene().canForbid) return
    writeFileSync(local('closed/file'), 'SPILL', { mode: 0 })
    mkdirSync(local('closed/folder/inner'), { recursive: true })
    chmodSync(local('closed/folder'), 0)
    for (const [operation, path] of [
      ['/preview', 'closed/file'],
      ['/download', 'closed/file'],
      ['', 'closed/folder'],
      ['', 'closed/folder/inner'],
    ] as const) {
      expect([path, ...(await refusalOf(await get(operation, { path })))]).toEqual([
        path,
        ...FORBIDDEN,
      ])
    }
  })

  it('reaches names with blanks around them, and with a tilde in front', async () => {
    expect(await shown({ path: './ blanks /' })).toMatchObject({ text: 'blanks' })
    expect(await shown({ path: './~tilde' })).toMatchObject({ text: 'tilde', path: './~tilde' })
  })

  describe('an agent that swaps what a path means (20.5: between realpath and open)', () => {
    const outside = (name: string): string => join(scene().sessions, OUTSIDE, name)
    const attacks = (): Readonly<Record<string, Attack>> => ({
      'the file with a link': {
        kind: 'last-link',
        name: local('attacked/file.txt'),
        real: outside('real.txt'),
        decoy: outside('decoy/file.txt'),
      },
      'the folder with a link': {
        kind: 'folder-link',
        name: local('attacked'),
        decoy: outside('decoy'),
      },
    })

    it.each(['the file with a link', 'the folder with a link'])(
      'gets nothing from outside by swapping %s',
      async (name) => {
        const attack = attacks()[name]
        if (attack === undefined) throw new Error(`no attack called ${name}`)
        rmSync(local('attacked'), { recursive: true, force: true })
        for (const each of [local('attacked'), outside('decoy')]) {
          mkdirSync(each, { recursive: true })
        }
        writeFileSync(outside('real.txt'), 'INSIDE')
        writeFileSync(local('attacked/file.txt'), 'INSIDE')
        writeFileSync(outside('decoy/file.txt'), 'OUTSIDE')
        writeFileSync(outside('decoy/outside.txt'), 'OUTSIDE')
        const tally = await hammer(attack, ATTACK_MS, [
          () => get('/preview', { path: 'attacked/file.txt' }),
          () => get('/download', { path: 'attacked/file.txt' }),
          () => get('', { path: 'attacked' }),
        ])
        process.stdout.write(`attack: ${name}: ${JSON.stringify(tally)}\n`)
        expect(tally.leaks).toEqual([])
        expect(tally.served).toBeGreaterThan(0)
        expect(tally.refused).toBeGreaterThan(0)
      },
      ATTACK_MS + ATTACK_CEILING_MS + 20_000,
    )
  })
}

const OUTSIDE_BASE64 = Buffer.from('OUTSIDE').toString('base64')

/** Asks again and again while the attack goes on: for so long, and until both sides of it were met. */
async function hammer(
  attack: Attack,
  forMs: number,
  asks: readonly (() => Promise<Response>)[],
): Promise<{ served: number; refused: number; leaks: string[]; swaps: number }> {
  const tally = { served: 0, refused: 0, leaks: [] as string[], swaps: 0 }
  const running = await startAttack(attack)
  const startedAt = performance.now()
  const isDue = (): boolean => {
    const elapsedMs = performance.now() - startedAt
    const hasMetBoth = tally.served > 0 && tally.refused > 0
    return elapsedMs < forMs || (elapsedMs < ATTACK_CEILING_MS && !hasMetBoth)
  }
  try {
    while (isDue() && running.isRunning()) {
      await Promise.all(
        asks.map(async (ask) => {
          const answer = await ask()
          const text = await answer.text()
          if (/OUTSIDE|outside\.txt/.test(text) || text.includes(OUTSIDE_BASE64)) {
            tally.leaks.push(text)
          }
          if (answer.status === 200) tally.served += 1
          else if (answer.status < 500) tally.refused += 1
          else tally.leaks.push(`${answer.status} ${text}`)
        }),
      )
    }
  } finally {
    const { count } = await running.stop()
    tally.swaps = count
  }
  return tally
}
