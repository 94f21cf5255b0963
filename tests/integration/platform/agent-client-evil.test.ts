/** Whatever an agent sends, a message ends in a typed error or a broken stream, and soon. */

import { text } from 'node:stream/consumers'
import { AppError } from '@atrium/http-kit/app-error'
import { afterEach, describe, expect, it } from 'vitest'
import { AgentClient } from '../../../apps/platform/src/upstream/agent-client.ts'
import { eventually } from '../../support/eventually.ts'
import { deadlineMsFor, type EvilBehaviour, EvilWorkspace } from '../../support/evil-workspace.ts'

let evil: EvilWorkspace
let client: AgentClient

async function start(behaviour: EvilBehaviour): Promise<void> {
  evil = await EvilWorkspace.start(behaviour)
  client = new AgentClient({
    connectTimeoutMs: 10_000,
    headersTimeoutMs: deadlineMsFor(behaviour),
    idleTimeoutMs: deadlineMsFor(behaviour),
    policy: { allowLoopback: true, allowPrivate: false },
  })
}

afterEach(async () => {
  await client.close()
  await evil.close()
})

/** As the gateway does, which knows how long it waits. */
function post() {
  const patience = new AbortController()
  const timer = setTimeout(
    () => patience.abort(new AppError('workspace_timeout')),
    deadlineMsFor(evil.behaviour),
  )
  return client
    .post({
      endpoint: { url: new URL('/x', evil.url), isTrusted: true },
      body: Buffer.from('{}'),
      headers: {},
      signal: patience.signal,
    })
    .finally(() => clearTimeout(timer))
}

const REFUSED: readonly (readonly [EvilBehaviour, string])[] = [
  ['redirect', 'workspace_redirected'],
  ['never-answers', 'workspace_timeout'],
  ['slow-head', 'workspace_timeout'],
  ['closes-at-once', 'agent_unreachable'],
  ['resets-at-once', 'agent_unreachable'],
  ['garbage', 'workspace_invalid_response'],
  ['huge-head', 'workspace_invalid_response'],
  ['interim-flood', 'workspace_invalid_response'],
  ['switches-protocols', 'agent_unreachable'],
  ['bare-cr-in-header', 'workspace_invalid_response'],
  ['two-framings', 'workspace_invalid_response'],
  ['two-lengths', 'workspace_invalid_response'],
]

describe.each(REFUSED)('an agent that plays %s', (name, code) => {
  it(`is answered for with ${code}`, async () => {
    await start(name)
    await expect(post()).rejects.toMatchObject({ code })
    expect(evil.targets).toEqual(['/x'])
    await eventually(() => evil.openConnections === 0)
  })
})

const BROKEN_OFF: readonly EvilBehaviour[] = [
  'length-too-long',
  'bad-chunk-size',
  'chunks-without-end',
  'resets-mid-body',
  'stalls-mid-body',
]

describe.each(BROKEN_OFF)('an agent that plays %s', (name) => {
  it('never comes to a clean end', async () => {
    await start(name)
    const answer = await post()
    await expect(text(answer.body)).rejects.toThrow()
    await eventually(() => evil.openConnections === 0)
  })
})
