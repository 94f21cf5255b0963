import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isProcessAlive } from '../../../apps/cli/src/process-alive.ts'
import { rememberedState } from '../../support/connect-process.ts'
import {
  connect,
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
import { externalWorkspace, feed } from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()
provideConnectScene()

const notifyLine = () => `POST /workspaces/${workspace.id}/notify`

describe('atrium connect, killed', () => {
  it('while its command runs: the command is ended, runs again, and is answered once', async () => {
    const [once, pidFile] = [join(home, 'once'), join(home, 'pid')]
    const killing = `if [ ! -e ${once} ]; then touch ${once}; echo $$ > ${pidFile}; kill -9 $PPID; sleep 300; fi; cat`
    await say('one')
    expect(await connect(killing, '--from-start').ended).toBe('SIGKILL')
    expect(rememberedState(home)?.text).toContain('"state":"received"')
    const orphan = Number(readFileSync(pidFile, 'utf8'))
    expect(isProcessAlive(orphan)).toBe(true)
    expect(await connect(killing, '--once').ended).toBe(0)
    expect(isProcessAlive(orphan)).toBe(false)
    expect(await told()).toEqual(['one'])
  })

  it('with an answer that has not left: it is sent, and the command does not run again', async () => {
    gate.decide = (line) => (line === notifyLine() ? 'hold' : 'pass')
    await say('two')
    const first = connect(noted(), '--from-start')
    await eventually(() => gate.seen.includes(notifyLine()))
    expect(rememberedState(home)?.text).toContain('"state":"answered"')
    first.signal('SIGKILL')
    await first.ended
    gate.decide = () => 'pass'
    expect(await connect(noted(), '--once').ended).toBe(0)
    expect(await told()).toEqual(['two'])
    expect(runs()).toBe(1)
  })

  it('with an answer that the platform has and it does not know: nobody is told twice', async () => {
    gate.decide = (line) => (line === notifyLine() ? 'hold_answer' : 'pass')
    await say('three')
    const first = connect(noted(), '--from-start')
    await eventually(() => gate.withheld.length > 0)
    first.signal('SIGKILL')
    await first.ended
    gate.decide = () => 'pass'
    expect(await connect(noted(), '--once').ended).toBe(0)
    expect(await told()).toEqual(['three'])
    expect(runs()).toBe(1)
    expect(rememberedState(home)?.text).toContain('"open":{}')
  })

  it('with an answer that another workspace has: it is not told twice either', async () => {
    const peer = await externalWorkspace()
    const line = `POST /workspaces/${peer.id}/a2a`
    gate.decide = (each) => (each === line ? 'hold_answer' : 'pass')
    await say('four', peer.authToken)
    const first = connect(noted(), '--from-start')
    await eventually(() => gate.withheld.length > 0)
    first.signal('SIGKILL')
    await first.ended
    gate.decide = () => 'pass'
    expect(await connect(noted(), '--once').ended).toBe(0)
    expect(await feed(peer)).toHaveLength(1)
    expect(gate.seen.filter((each) => each === line)).toHaveLength(2)
    expect(runs()).toBe(1)
  })

  it('by a message, again and again: that one is given up, and the next is answered', async () => {
    await say('poison')
    const deadly = 'read text; if [ "$text" = poison ]; then kill -9 $PPID; fi; echo "$text"'
    for (let start = 0; start < 5; start += 1) {
      expect(await connect(deadly, ...(start === 0 ? ['--from-start'] : [])).ended).toBe('SIGKILL')
    }
    await say('fine\n')
    expect(await connect(deadly, '--once').ended).toBe(0)
    expect(await told()).toEqual([
      'Agent error: this message could not be answered in 5 attempts',
      'fine',
    ])
  })
})

describe('atrium connect, refused', () => {
  it('says that a message stays open whose answer the ledger does not take', async () => {
    const refusing = createServer((_, response) => response.writeHead(413).end('{}'))
    await once(refusing.listen(0, '127.0.0.1'), 'listening')
    const { port } = refusing.address() as AddressInfo
    gate.decide = (line) => {
      gate.target = line.endsWith('/reply') ? `http://127.0.0.1:${port}` : platform.url
      return 'pass'
    }
    await say('open')
    const agent = connect('cat', '--once', '--from-start', '--json')
    expect(await agent.ended).toBe(0)
    refusing.close()
    expect(agent.stderr()).toContain('the platform keeps a message open')
    expect(agent.stdout()).toContain('"type":"left_open"')
    expect(await told()).toEqual(['open'])
  })
})

describe('atrium connect, cut off', () => {
  it('says so once, comes back by itself, and says that as well', async () => {
    const agent = connect(noted())
    await agent.connected()
    gate.cut()
    await eventually(() => agent.stderr().includes('trying again in'))
    await say('five')
    gate.open()
    await eventually(async () => (await told()).length === 1)
    expect(await told()).toEqual(['five'])
    expect(agent.stderr()).toContain('the platform answers again')
    expect(agent.stderr().match(/trying again in/g)).toHaveLength(1)
  })

  it('while it sends: the answer leaves when it can, once', async () => {
    gate.decide = (line) => {
      if (line !== notifyLine()) return 'pass'
      gate.cut()
      return 'hold'
    }
    await say('six')
    const agent = connect(noted(), '--from-start')
    await eventually(() => agent.stderr().includes('trying again in'))
    gate.decide = () => 'pass'
    gate.open()
    await eventually(async () => (await told()).length === 1)
    expect(runs()).toBe(1)
  })

  it('and interrupted: the answer is kept for the next start', async () => {
    gate.decide = (line) => {
      if (line === notifyLine()) gate.cut()
      return 'pass'
    }
    await say('seven')
    const agent = connect(noted(), '--from-start')
    await eventually(() => agent.stderr().includes('trying again in'))
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(130)
    gate.decide = () => 'pass'
    gate.open()
    expect(await connect(noted(), '--once').ended).toBe(0)
    expect(await told()).toEqual(['seven'])
    expect(runs()).toBe(1)
  })
})

describe('two hundred messages', () => {
  it('are answered once each, through kills and cuts', { timeout: 300_000 }, async () => {
    const texts = Array.from({ length: 200 }, (_, index) => `t${index}`)
    for (const text of texts) await say(text)
    let agent = connect('cat', '--from-start', '--concurrency', '4')
    for (const upTo of [15, 60, 110, 160]) {
      await eventually(async () => (await told()).length >= upTo, 120_000)
      if (upTo === 60) {
        gate.cut()
        await eventually(() => agent.stderr().includes('trying again in'))
        gate.open()
        continue
      }
      agent.signal('SIGKILL')
      await agent.ended
      agent = connect('cat', '--concurrency', '4')
    }
    await eventually(async () => (await told()).length >= 200, 120_000)
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(0)
    const answers = (await told()).toSorted()
    expect(answers).toEqual(texts.toSorted())
    expect(existsSync(join(home, 'undelivered'))).toBe(false)
    expect(platform.logLines().join('\n')).not.toContain(workspace.authToken)
  })
})
