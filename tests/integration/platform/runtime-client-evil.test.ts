/** Whatever a workspace sends, the client gets a typed error or a broken connection, and soon. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { type ByteHop, startByteHop } from '../../support/byte-hop.ts'
import { eventually } from '../../support/eventually.ts'
import {
  deadlineMsFor,
  EVIL_BEHAVIOURS,
  type EvilBehaviour,
  EvilWorkspace,
} from '../../support/evil-workspace.ts'
import { begin, errorCode, open, send } from '../../support/raw-client.ts'

let evil: EvilWorkspace
let hop: ByteHop

async function start(
  behaviour: EvilBehaviour,
  timeoutMs = deadlineMsFor(behaviour),
): Promise<void> {
  evil = await EvilWorkspace.start(behaviour)
  hop = await startByteHop(evil.url, {
    connectTimeoutMs: 10_000,
    headersTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
  })
}

afterEach(async () => {
  await hop.close()
  await evil.close()
})

/** Refused with a typed error before the head. */
const REFUSED: Partial<Record<EvilBehaviour, readonly [status: number, code: string]>> = {
  redirect: [502, 'workspace_redirected'],
  'never-answers': [504, 'workspace_timeout'],
  'slow-head': [504, 'workspace_timeout'],
  'closes-at-once': [502, 'workspace_unreachable'],
  'resets-at-once': [502, 'workspace_unreachable'],
  garbage: [502, 'workspace_invalid_response'],
  'huge-head': [502, 'workspace_invalid_response'],
  'interim-flood': [502, 'workspace_invalid_response'],
  'switches-protocols': [502, 'workspace_invalid_response'],
  'bare-cr-in-header': [502, 'workspace_invalid_response'],
  'two-framings': [502, 'workspace_invalid_response'],
  'two-lengths': [502, 'workspace_invalid_response'],
  'no-framing': [502, 'workspace_invalid_response'],
  'unchunked-coding': [502, 'workspace_invalid_response'],
  'coding-below-chunks': [502, 'workspace_invalid_response'],
  'compressed-unasked': [502, 'workspace_invalid_response'],
}

/** The head was fine, so only a broken connection can tell the client. */
const BROKEN_OFF: readonly EvilBehaviour[] = [
  'length-too-long',
  'length-too-short',
  'bad-chunk-size',
  'chunks-without-end',
  'resets-mid-body',
  'stalls-mid-body',
]

const OWN_TESTS: readonly EvilBehaviour[] = [
  'endless-body',
  'answers-twice',
  'answers-ahead',
  'drops-kept-connections',
  'drops-begun-answers',
]

it('covers every misbehaviour that the evil workspace knows', async () => {
  await start('garbage')
  const covered = [...Object.keys(REFUSED), ...BROKEN_OFF, ...OWN_TESTS]
  expect(covered.toSorted()).toEqual([...EVIL_BEHAVIOURS].toSorted())
})

describe.each(Object.entries(REFUSED))('a workspace that plays %s', (name, [status, code]) => {
  it.each(['GET', 'POST'])(`answers ${status} ${code} to a %s`, async (method) => {
    await start(name as EvilBehaviour)
    const body = method === 'POST' ? { body: Buffer.from('hello') } : {}
    const answer = await send(new URL('/x', hop.url), { method, ...body })
    expect([answer.status, errorCode(answer)]).toEqual([status, code])
    expect(evil.targets).toEqual(['/x'])
    await eventually(() => evil.openConnections === 0)
  })
})

describe.each(BROKEN_OFF)('a workspace that plays %s', (name) => {
  it('ends in a broken connection, never in a clean short body', async () => {
    await start(name)
    const answer = await send(new URL('/x', hop.url)).catch(() => undefined)
    expect(answer?.isComplete ?? false).toBe(false)
    await eventually(() => evil.openConnections === 0)
  })
})

describe('a workspace that plays chunks-without-end', () => {
  it('ends in a reset for a client of HTTP/1.0, which gets no chunks', async () => {
    await start('chunks-without-end')
    const client = connect(Number(hop.url.port), hop.url.hostname)
    await once(client, 'connect')
    client.write('GET /x HTTP/1.0\r\nHost: hop\r\n\r\n')
    await expect(text(client)).rejects.toMatchObject({ code: 'ECONNRESET' })
  })
})

describe('a workspace that plays endless-body', () => {
  it('is held back by a client that does not read, and cut when that client has stalled', async () => {
    await start('endless-body')
    const response = await open(new URL('/x', hop.url))
    await eventually(() => evil.openConnections === 0)
    // What the kernel's buffers on the two connections hold, and one slice between them.
    expect(evil.bytesWritten).toBeLessThan(24 * 1024 * 1024)
    response.destroy()
  })

  it('loses its connection at once when the client leaves', async () => {
    await start('endless-body', 60_000)
    const response = await open(new URL('/x', hop.url))
    response.destroy()
    await eventually(() => evil.openConnections === 0)
  })
})

describe('a workspace that plays never-answers', () => {
  it('loses its connection at once when the client leaves', async () => {
    await start('never-answers', 60_000)
    const sent = begin(new URL('/x', hop.url))
    sent.once('error', () => sent.destroy())
    sent.end()
    await eventually(() => evil.openConnections === 1)
    sent.destroy()
    await eventually(() => evil.openConnections === 0)
  })
})

describe.each(['answers-twice', 'answers-ahead'] as const)('a workspace that plays %s', (name) => {
  it('cannot slip its surplus answer to the next request', async () => {
    await start(name)
    for (const target of ['/first', '/second', '/third']) {
      const answer = await send(new URL(target, hop.url)).catch(() => undefined)
      expect(answer?.isComplete === true ? answer.body.toString() : target).toBe(target)
      // Before the pool would let go of an idle connection by itself (4 s).
      await eventually(() => evil.openConnections === 0, 3_000)
    }
    expect(evil.connectionsMade).toBe(3)
  })
})

describe('a workspace that plays drops-kept-connections', () => {
  it('is asked once more, on a fresh connection, for a GET', async () => {
    await start('drops-kept-connections')
    for (const target of ['/1', '/2']) {
      const answer = await send(new URL(target, hop.url))
      expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
    }
    expect(evil.targets).toEqual(['/1', '/2', '/2'])
    expect(evil.connectionsMade).toBe(2)
  })

  it('never gets an upload on a kept connection, its own or that of a download', async () => {
    await start('drops-kept-connections')
    await send(new URL('/1', hop.url))
    for (const target of ['/2', '/3']) {
      const answer = await send(new URL(target, hop.url), {
        method: 'POST',
        body: Buffer.from('x'),
      })
      expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
    }
    expect(evil.targets).toEqual(['/1', '/2', '/3'])
    expect(evil.connectionsMade).toBe(3)
  })

  it('gets no upload that has waited for a place on a connection that became free', async () => {
    await start('drops-kept-connections')
    const targets = Array.from({ length: 300 }, (_, index) => `/${index}`)
    const answers = await Promise.all(
      targets.map((target) =>
        send(new URL(target, hop.url), { method: 'POST', body: Buffer.from('x') }),
      ),
    )
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([])
    expect(evil.connectionsMade).toBe(targets.length)
  })
})

describe('a workspace that plays drops-begun-answers', () => {
  it('is not asked again: it may have acted', async () => {
    await start('drops-begun-answers')
    await send(new URL('/1', hop.url))
    const answer = await send(new URL('/2', hop.url))
    expect([answer.status, errorCode(answer)]).toEqual([502, 'workspace_unreachable'])
    expect(evil.targets).toEqual(['/1', '/2'])
  })
})
