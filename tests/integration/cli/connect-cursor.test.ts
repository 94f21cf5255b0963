/** `atrium connect --cursor`: a computer that remembers nothing goes on where the last one was. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  connect,
  connectWith,
  gate,
  home,
  noted,
  provideConnectScene,
  runs,
  say,
  told,
  workspace,
} from '../../support/connect-scene.ts'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()
provideConnectScene()

/** Another computer, on which nobody has answered for the workspace yet. */
async function connectElsewhere(...args: readonly string[]) {
  const stateHome = await mkdtemp(join(home, 'elsewhere-'))
  return connectWith(['--exec', noted(), '--once', ...args], { stateHome })
}

describe('atrium connect --cursor', () => {
  it('answers what waited, elsewhere what came later, and back here not that again', async () => {
    await say('one')
    expect(await connect(noted(), '--once', '--cursor', 'jobs').ended).toBe(0)
    await say('two')
    expect(await (await connectElsewhere('--cursor', 'jobs')).ended).toBe(0)
    await say('three')
    expect(await connect(noted(), '--once', '--cursor', 'jobs').ended).toBe(0)
    expect(await told()).toEqual(['one', 'two', 'three'])
    expect(runs()).toBe(3)
  })

  it('answers nobody twice when it died before it could say what is done', async () => {
    gate.decide = (line) => (line.endsWith('/activity/ack') ? 'hold' : 'pass')
    await say('one')
    const first = connect('cat', '--cursor', 'jobs')
    await eventually(() => gate.seen.some((line) => line.endsWith('/activity/ack')))
    first.signal('SIGKILL')
    await first.ended
    gate.decide = () => 'pass'
    expect(await (await connectElsewhere('--cursor', 'jobs')).ended).toBe(0)
    expect(await told()).toEqual(['one'])
    // The row says that it is answered: the command is not even run.
    expect(runs()).toBe(0)
  })

  it('ends with words when the platform keeps no more places', async () => {
    await say('one')
    await platform.client.sql`
      INSERT INTO activity_cursors (workspace_id, name, seq, updated_at)
      SELECT ${workspace.id}, n, 0, now() FROM generate_series(1, 32) AS n`
    const refused = await connectElsewhere('--cursor', 'jobs')
    expect(await refused.ended).toBe(1)
    expect(refused.stderr()).toContain('maximum 32 activity cursors per workspace')
  })
})
