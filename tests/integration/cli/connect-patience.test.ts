import { Writable } from 'node:stream'
import { type Clock, systemIds } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import { afterEach, describe, expect, it } from 'vitest'
import { PlatformLink } from '../../../apps/cli/src/connect/platform-link.ts'
import { fixedToken } from '../../../apps/cli/src/connect/workspace-token.ts'
import { PlatformClient } from '../../../apps/cli/src/http/platform-client.ts'
import { Terminal } from '../../../apps/cli/src/terminal/terminal.ts'
import {
  type StandInExchange,
  type StandInPlatform,
  sendJson,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'

const PATIENCE_MS = 5 * 60_000
/** How long the platform is away: longer than a refusal is waited out. */
const AWAY_MS = 3 * PATIENCE_MS

let platform: StandInPlatform | undefined
let client: PlatformClient | undefined

afterEach(async () => {
  await client?.close()
  await platform?.close()
})

/** Says something to a platform that answers as `answer` does; its time passes in the waits alone. */
async function send(answer: (exchange: StandInExchange, spentMs: number) => void) {
  let spentMs = 0
  const clock: Clock = {
    now: () => new Date(spentMs),
    sleep: async (ms) => {
      spentMs += ms
    },
  }
  platform = await startStandInPlatform((exchange) => answer(exchange, spentMs))
  const { signal } = new AbortController()
  client = new PlatformClient({ baseUrl: new URL(platform.url), idleTimeoutMs: 10_000, signal })
  const unread = new Writable({ write: (_piece, _encoding, done) => done() })
  const link = new PlatformLink({
    client,
    clock,
    ids: systemIds,
    token: fixedToken(new Secret('token')),
    terminal: new Terminal({ stdout: unread, stderr: unread, isJson: false, isQuiet: true }),
  })
  const request = { method: 'POST', segments: ['workspaces', 'w', 'a2a'], json: {} } as const
  const answered = link.json(request, { signal, patienceMs: PATIENCE_MS })
  return { answered: await answered.catch((thrown: unknown) => thrown), spentMs }
}

const refuse = ({ response }: StandInExchange, code: string): void =>
  sendJson(response, { error: code, code, retryable: true }, 503)

describe('an answer that a workspace shall get', () => {
  it.each([
    ['connections break', ({ response }: StandInExchange) => response.destroy()],
    ['something in between answers', (each: StandInExchange) => sendJson(each.response, {}, 502)],
    ['its database is away', (each: StandInExchange) => refuse(each, 'platform_unavailable')],
    ['it restarts', (each: StandInExchange) => refuse(each, 'shutting_down')],
  ])('waits for a platform however long it is away: %s', async (_, away) => {
    const { answered, spentMs } = await send((exchange, nowMs) => {
      if (nowMs < AWAY_MS) away(exchange)
      else sendJson(exchange.response, { status: 'queued' })
    })
    expect(answered).toEqual({ status: 'queued' })
    expect(spentMs).toBeGreaterThanOrEqual(AWAY_MS)
  })

  it('is given up when the workspace does not take it for five minutes', async () => {
    const { answered, spentMs } = await send((each) => refuse(each, 'workspace_waking'))
    expect(answered).toMatchObject({ facts: { code: 'workspace_waking' } })
    expect(spentMs).toBeGreaterThan(PATIENCE_MS - 60_000)
    expect(spentMs).toBeLessThanOrEqual(PATIENCE_MS)
  })

  it('has its five minutes anew once the platform was away', async () => {
    const { answered } = await send((exchange, nowMs) => {
      if (nowMs < 1_000 || nowMs > AWAY_MS + PATIENCE_MS / 2) refuse(exchange, 'workspace_waking')
      else if (nowMs < AWAY_MS) exchange.response.destroy()
      else sendJson(exchange.response, { status: 'queued' })
    })
    expect(answered).toEqual({ status: 'queued' })
  })
})
