import { readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ConnectProcess, startConnect } from '../../support/connect-process.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
} from '../../support/external-workspace.ts'
import { localAgent } from '../../support/local-agent.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { temporaryFolder } from './cli-harness.ts'

sharePlatform()

let workspace: ExternalWorkspace
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let running: ConnectProcess[]

beforeEach(async () => {
  folder = await temporaryFolder()
  workspace = await externalWorkspace({}, false)
  running = []
})
afterEach(async () => {
  for (const each of running) each.signal('SIGKILL')
  await Promise.all(running.map((each) => each.ended))
  await folder.remove()
})

function connect(args: readonly string[], options: { env?: Record<string, string> } = {}) {
  const started = startConnect({
    url: platform.url,
    workspaceId: workspace.id,
    token: workspace.authToken,
    stateHome: folder.path,
    args,
    ...options,
  })
  running.push(started)
  return started
}

let nextMessage = 0
/** Says something to the workspace; returns the id of the message. */
async function say(text: string, as?: string, metadata?: object): Promise<string> {
  nextMessage += 1
  const messageId = `m-${nextMessage}`
  const message = { role: 'user', messageId, parts: [{ kind: 'text', text }], metadata }
  const body = { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message } }
  const answer = await platform.json(`/workspaces/${workspace.id}/a2a`, body, as)
  expect(await answer.json()).toMatchObject({ status: 'queued' })
  return messageId
}

const said = async (from = workspace): Promise<unknown[]> =>
  (await feed(from, 'from=start&source=canvas&limit=500'))
    .filter((row) => row.method === 'notify')
    .map((row) => row.response_body?.['result'])

describe('atrium connect --exec', () => {
  it('registers, answers a person, and is online while it does', async () => {
    const agent = connect(['--exec', 'tr a-z A-Z', '--name', 'shouter'])
    await agent.connected()
    await say('good morning')
    await eventually(async () => (await said()).length > 0)
    expect(await said()).toEqual(['GOOD MORNING'])
    const row = (await (await platform.request(`/workspaces/${workspace.id}`)).json()) as object
    expect(row).toMatchObject({
      status: 'online',
      delivery_mode: 'poll',
      agent_card: { name: 'shouter' },
    })
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(0)
    expect(agent.stderr()).toContain('ended; 1 answered')
  })

  it('answers in the ledger as well, where the sender asks for it', async () => {
    const peer = await externalWorkspace()
    const agent = connect(['--exec', 'tr a-z A-Z'])
    await agent.connected()
    await say('from a person')
    await say('from an agent', peer.authToken)
    await say('an answer', peer.authToken, { 'atrium/in_reply_to': 'm-earlier' })
    const rows = (await feed(workspace)).filter((row) => row.method === 'message/send')
    expect(rows).toHaveLength(3)
    for (const row of rows) {
      const path = `/workspaces/${workspace.id}/a2a/queue/${row['queue_id']}`
      const entry = await eventually(async () => {
        const found = (await (await platform.request(path)).json()) as Record<string, unknown>
        return found['status'] === 'completed' ? found : undefined
      })
      const [part] = (row.request_body?.params?.message?.['parts'] ?? []) as { text: string }[]
      expect(entry).toMatchObject({
        response_body: { result: { role: 'agent', parts: [{ text: part?.text.toUpperCase() }] } },
      })
    }
  })

  it('answers another workspace by a message that names the one it answers', async () => {
    const peer = await externalWorkspace()
    const agent = connect(['--exec', 'cat'])
    await agent.connected()
    const asked = await say('question', peer.authToken)
    const [row] = await eventually(async () => {
      const rows = await feed(peer)
      return rows.length > 0 && rows
    })
    expect(row).toMatchObject({ source_id: workspace.id, method: 'message/send' })
    expect(row?.request_body?.params?.message).toMatchObject({
      parts: [{ kind: 'text', text: 'question' }],
      metadata: { 'atrium/in_reply_to': asked },
    })
  })

  it('gives an answer to its agent, and does not answer it: two agents would never stop', async () => {
    const peer = await externalWorkspace()
    const seen = join(folder.path, 'seen')
    const agent = connect([
      '--exec',
      `cat >> ${seen}; echo "$ATRIUM_IN_REPLY_TO" >> ${seen}; echo x`,
    ])
    await agent.connected()
    await say('an answer', peer.authToken, { 'atrium/in_reply_to': 'm-earlier' })
    await say('from a person')
    await eventually(async () => (await said()).length > 0)
    expect(await feed(peer)).toEqual([])
    expect(agent.stderr()).toContain('which was an answer')
  })

  it('hands over text, ids and the files inside a message, and none of its credentials', async () => {
    const script = join(folder.path, 'show.sh')
    await writeFile(
      script,
      'cat; echo; echo "$ATRIUM_CONTEXT_ID|$ATRIUM_SOURCE_ID|$WORKSPACE_ID|$OWN"\n' +
        'cat "$ATRIUM_JOB_DIR"/files/*; test -s "$ATRIUM_MESSAGE_FILE" && echo; env\n',
    )
    const agent = connect(['--exec', `sh ${script}`], {
      env: { OWN: 'kept', ALIAS: `x${workspace.authToken}x`, ADMIN_TOKEN: 'admin-of-the-test' },
    })
    await agent.connected()
    const bytes = Buffer.from('inside').toString('base64')
    const message = {
      role: 'user',
      messageId: 'with-file',
      contextId: 'c-7',
      parts: [
        { kind: 'text', text: '$(touch pwned)' },
        { kind: 'file', file: { name: '../../x.txt', bytes } },
      ],
    }
    await platform.json(`/workspaces/${workspace.id}/a2a`, {
      method: 'message/send',
      params: { message },
    })
    await eventually(async () => (await said()).length > 0)
    const [answer] = (await said()) as string[]
    expect(answer).toContain(`$(touch pwned)\nc-7||${workspace.id}|kept\ninside`)
    expect(answer).not.toContain(workspace.authToken)
    expect(answer).not.toContain('admin-of-the-test')
    expect(await readdir(folder.path)).not.toContain('pwned')
  })

  it.each([
    [
      'echo gone wrong >&2; exit 3',
      /^Agent error: the command ended with exit code 3\ngone wrong$/,
    ],
    ['kill -9 $$', /^Agent error: the command was ended by SIGKILL$/],
    ['sleep 60', /^Agent error: the command was ended after 1 s$/],
    ['true', /^\(no response generated\)$/],
    ['yes | head -c 3000000', /^(y\n)+/],
  ])('answers with what happened: %s', async (command, expected) => {
    const agent = connect(['--exec', command, '--command-timeout', '1'])
    await agent.connected()
    await say('go')
    await eventually(async () => (await said()).length > 0)
    expect((await said())[0]).toMatch(expected)
  })

  it('answers in order, and as many at once as it was told', async () => {
    const log = join(folder.path, 'log')
    const command = `read n; echo "+$n" >> ${log}; sleep 0.3; echo "-$n" >> ${log}; echo $n`
    const agent = connect(['--exec', command, '--concurrency', '3'])
    await agent.connected()
    for (const n of [1, 2, 3, 4, 5, 6]) await say(`${n}\n`)
    await eventually(async () => (await said()).length === 6)
    expect(new Set(await said())).toEqual(new Set(['1', '2', '3', '4', '5', '6']))
  })

  it('leaves earlier messages alone, says so, and answers them when asked to', async () => {
    await say('early')
    const first = connect(['--exec', 'cat', '--once'])
    expect(await first.ended).toBe(0)
    expect(first.stderr()).toContain('1 earlier message is left alone; --from-start')
    expect(await said()).toEqual([])
    const second = connect(['--exec', 'cat', '--once', '--from-start'])
    expect(await second.ended).toBe(0)
    const third = connect(['--exec', 'cat', '--once', '--from-start'])
    expect(await third.ended).toBe(0)
    expect(await said()).toEqual(['early'])
  })

  it('keeps what it remembers to its user', async () => {
    expect(await connect(['--exec', 'cat', '--once']).ended).toBe(0)
    const connectFolder = join(folder.path, 'atrium', 'connect')
    const [name = ''] = await readdir(connectFolder)
    const state = await stat(join(connectFolder, name, 'state.json'))
    const parent = await stat(join(connectFolder, name))
    expect([state.mode & 0o777, parent.mode & 0o777]).toEqual([0o600, 0o700])
    expect(await readdir(join(connectFolder, name))).toEqual(['jobs', 'state.json'])
  })

  it('is alone: a second one says who is first, and a dead one is no obstacle', async () => {
    const first = connect(['--exec', 'cat'])
    await first.connected()
    const second = connect(['--exec', 'cat'])
    expect(await second.ended).toBe(2)
    expect(second.stderr()).toContain(`process ${first.pid}) answers for this workspace`)
    first.signal('SIGKILL')
    await first.ended
    expect(await connect(['--exec', 'cat', '--once']).ended).toBe(0)
  })

  it('ends with words and exit 4 when its token is revoked', async () => {
    const agent = connect(['--exec', 'cat'])
    await agent.connected()
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${workspace.id}`
    await platform.client.sql`SELECT pg_notify('atrium_activity', ${workspace.id})`
    await say('wakes it up')
    expect(await agent.ended).toBe(4)
    expect(agent.stderr()).toContain('does not accept the workspace token any more')
    expect(agent.stderr()).not.toContain(workspace.authToken)
  })

  it('takes a token from a file, and the next one when the first is replaced', async () => {
    const file = join(folder.path, 'token')
    await writeFile(file, `${workspace.authToken}\n`)
    const agent = connect(['--exec', 'cat', '--token-file', file], { env: { ATRIUM_TOKEN: '' } })
    await agent.connected()
    const minted = await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${workspace.id}
      RETURNING id`
    expect(minted).toHaveLength(1)
    await platform.client.sql`
      INSERT INTO workspace_auth_tokens (id, workspace_id, token_hash, prefix, purpose, created_at)
      VALUES (gen_random_uuid(), ${workspace.id}, sha256(convert_to('new-token', 'UTF8')), 'new', 'user', now())`
    await writeFile(file, 'new-token')
    await say('still there?')
    await eventually(async () => {
      const rows = await platform.client.sql`
        SELECT 1 FROM activity_logs WHERE workspace_id = ${workspace.id} AND method = 'notify'`
      return rows.length === 1
    })
  })

  it('finishes what it has begun when interrupted', async () => {
    const begun = join(folder.path, 'begun')
    const agent = connect(['--exec', `touch ${begun}; sleep 1; echo finished`])
    await agent.connected()
    await say('one')
    await say('two')
    await eventually(async () => (await readdir(folder.path)).includes('begun'))
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(0)
    expect(await said()).toEqual(['finished'])
    expect(await connect(['--exec', 'cat', '--once']).ended).toBe(0)
    expect(await said()).toEqual(['finished', 'two'])
  })

  it('goes on with what is left when its place in the feed was deleted', async () => {
    await say('old')
    expect(await connect(['--exec', 'cat', '--once', '--from-start']).ended).toBe(0)
    await platform.client.sql`DELETE FROM activity_logs WHERE workspace_id = ${workspace.id}`
    await say('new')
    const agent = connect(['--exec', 'cat', '--once'])
    expect(await agent.ended).toBe(0)
    expect(agent.stderr()).toContain('has no record of the last message this computer saw')
    expect(await said()).toEqual(['new'])
  })

  it('reports as lines of JSON, and nothing of the agent reaches the terminal raw', async () => {
    await say('\u001b]0;owned\u0007hi')
    const agent = connect(['--exec', 'cat', '--once', '--from-start', '--json'])
    expect(await agent.ended).toBe(0)
    const lines = agent
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => line.type)).toEqual(['connected', 'answered', 'ended'])
    const loud = connect(['--exec', 'cat', '--once', '--from-start'])
    await loud.ended
    expect(loud.stderr()).not.toContain('\u001b')
  })

  it.each([
    [[], 'give --exec or --forward'],
    [['--exec', 'cat', '--forward', 'http://127.0.0.1:1'], 'give --exec or --forward'],
    [['--forward', 'ftp://x'], '--forward wants an http or https URL'],
    [['--exec', 'cat', '--card', 'no-such.json'], 'cannot use the card in'],
    [['--exec', 'cat', '--token-file', 'no-such'], 'cannot read the token in'],
  ])('refuses %j', async (args, words) => {
    const agent = connect(args)
    expect(await agent.ended).toBe(2)
    expect(agent.stderr()).toContain(words)
  })

  it('refuses a workspace that the platform calls itself', async () => {
    const pushed = await platform.json('/workspaces', { name: 'p', external: true })
    const created = (await pushed.json()) as { id: string; connection: { auth_token: string } }
    workspace = { id: created.id, authToken: created.connection.auth_token }
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'push' WHERE id = ${workspace.id}`
    const agent = connect(['--exec', 'cat'])
    expect(await agent.ended).toBe(1)
  })
})

const PARTS = [{ kind: 'text', text: 'hello' }]

describe('atrium connect --forward', () => {
  it('passes messages on as they came, and brings text and files back', async () => {
    const file = { uri: 'https://example.org/r.pdf', name: 'r.pdf', mimeType: 'application/pdf' }
    const agent = await localAgent((body) => ({
      jsonrpc: '2.0',
      id: body.id,
      result: {
        kind: 'message',
        parts: [
          { kind: 'text', text: 'hello' },
          { kind: 'file', file },
        ],
      },
    }))
    const link = connect(['--forward', agent.url, '--once', '--from-start'])
    await say('hi', undefined, { vendor: 1 })
    expect(await link.ended).toBe(0)
    agent.close()
    expect(agent.bodies).toHaveLength(1)
    expect(agent.bodies[0]?.body).toMatchObject({
      method: 'message/send',
      params: { message: { parts: [{ text: 'hi' }], metadata: { vendor: 1 } } },
    })
    expect(agent.bodies[0]?.headers['authorization']).toBeUndefined()
    const [row] = await feed(workspace)
    expect(row?.response_body).toEqual({ result: 'hello', parts: [{ kind: 'file', file }] })
  })

  it('waits for a task that is not finished at once', async () => {
    const agent = await localAgent((body, call) => ({
      jsonrpc: '2.0',
      id: body.id,
      result: {
        kind: 'task',
        id: 't1',
        status:
          call < 3
            ? { state: 'working' }
            : { state: 'completed', message: { parts: [{ kind: 'text', text: 'done' }] } },
      },
    }))
    await say('work')
    expect(await connect(['--forward', agent.url, '--once', '--from-start']).ended).toBe(0)
    agent.close()
    expect(await said()).toEqual(['done'])
  })

  it('gives a message up that its agent breaks off at each time, and goes on', async () => {
    let breaks = 0
    const agent = await localAgent((body) => {
      if (JSON.stringify(body).includes('poison')) {
        breaks += 1
        return undefined
      }
      return { jsonrpc: '2.0', id: body.id, result: { kind: 'message', parts: PARTS } }
    })
    for (const text of ['poison', 'hi']) await say(text)
    expect(await connect(['--forward', agent.url, '--once', '--from-start']).ended).toBe(0)
    agent.close()
    expect(breaks).toBe(5)
    expect((await said()).toSorted()).toEqual([
      'Agent error: this message could not be answered in 5 attempts',
      'hello',
    ])
  })

  it('waits for an agent that is not there yet, and says so', async () => {
    const placeholder = await localAgent(() => ({}))
    const port = new URL(placeholder.url).port
    placeholder.close()
    const link = connect(['--forward', `http://127.0.0.1:${port}`, '--from-start'])
    await say('anybody?')
    await eventually(() => link.stderr().includes('does not answer; trying again until it does'))
    const server = createServer((_, response) =>
      response.end('{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"not today"}}'),
    )
    await new Promise<void>((listening) => {
      server.listen(Number(port), '127.0.0.1', listening)
    })
    await eventually(async () => (await said()).length > 0)
    server.close()
    expect(await said()).toEqual(['Agent error: not today'])
  })
})
