import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  connect,
  connectWith,
  home,
  provideConnectScene,
  say,
  told,
  workspace,
} from '../../support/connect-scene.ts'
import { eventually } from '../../support/eventually.ts'
import { externalWorkspace, feed } from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()
provideConnectScene()

describe('atrium connect --exec', () => {
  it('registers, answers a person, and is online while it does', async () => {
    const agent = connect('tr a-z A-Z', '--name', 'shouter')
    await agent.connected()
    await say('good morning')
    await eventually(async () => (await told()).length > 0)
    expect(await told()).toEqual(['GOOD MORNING'])
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
    const agent = connect('tr a-z A-Z')
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
    const agent = connect('cat')
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
    const seen = join(home, 'seen')
    const agent = connect(`cat >> ${seen}; echo "$ATRIUM_IN_REPLY_TO" >> ${seen}; echo x`)
    await agent.connected()
    await say('an answer', peer.authToken, { 'atrium/in_reply_to': 'm-earlier' })
    await say('from a person')
    await eventually(async () => (await told()).length > 0)
    expect(await feed(peer)).toEqual([])
    expect(agent.stderr()).toContain('which was an answer')
  })

  it('hands over text, ids and the files inside a message, and none of its credentials', async () => {
    const script = join(home, 'show.sh')
    await writeFile(
      script,
      'cat; echo; echo "$ATRIUM_CONTEXT_ID|$ATRIUM_SOURCE_ID|$WORKSPACE_ID|$OWN"\n' +
        'cat "$ATRIUM_JOB_DIR"/files/*; test -s "$ATRIUM_MESSAGE_FILE" && echo; env\n',
    )
    const agent = connectWith(['--exec', `sh ${script}`], {
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
    await eventually(async () => (await told()).length > 0)
    const [answer] = (await told()) as string[]
    expect(answer).toContain(`$(touch pwned)\nc-7||${workspace.id}|kept\ninside`)
    expect(answer).not.toContain(workspace.authToken)
    expect(answer).not.toContain('admin-of-the-test')
    expect(await readdir(home)).not.toContain('pwned')
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
    const agent = connect(command, '--command-timeout', '1')
    await agent.connected()
    await say('go')
    await eventually(async () => (await told()).length > 0)
    expect((await told())[0]).toMatch(expected)
  })

  it('answers in order, and as many at once as it was told', async () => {
    const log = join(home, 'log')
    const command = `read n; echo "+$n" >> ${log}; sleep 0.3; echo "-$n" >> ${log}; echo $n`
    const agent = connect(command, '--concurrency', '3')
    await agent.connected()
    for (const n of [1, 2, 3, 4, 5, 6]) await say(`${n}\n`)
    await eventually(async () => (await told()).length === 6)
    expect(new Set(await told())).toEqual(new Set(['1', '2', '3', '4', '5', '6']))
  })

  it('leaves earlier messages alone, says so, and answers them when asked to', async () => {
    await say('early')
    const first = connect('cat', '--once')
    expect(await first.ended).toBe(0)
    expect(first.stderr()).toContain('1 earlier message is left alone; --from-start')
    expect(await told()).toEqual([])
    const second = connect('cat', '--once', '--from-start')
    expect(await second.ended).toBe(0)
    const third = connect('cat', '--once', '--from-start')
    expect(await third.ended).toBe(0)
    expect(await told()).toEqual(['early'])
  })

  it('keeps what it remembers to its user', async () => {
    expect(await connect('cat', '--once').ended).toBe(0)
    const connectFolder = join(home, 'atrium', 'connect')
    const [name = ''] = await readdir(connectFolder)
    const state = await stat(join(connectFolder, name, 'state.json'))
    const parent = await stat(join(connectFolder, name))
    expect([state.mode & 0o777, parent.mode & 0o777]).toEqual([0o600, 0o700])
    expect(await readdir(join(connectFolder, name))).toEqual(['jobs', 'state.json'])
  })

  it('is alone: a second one says who is first, and a dead one is no obstacle', async () => {
    const first = connect('cat')
    await first.connected()
    const second = connect('cat')
    expect(await second.ended).toBe(2)
    expect(second.stderr()).toContain(`process ${first.pid}) answers for this workspace`)
    first.signal('SIGKILL')
    await first.ended
    expect(await connect('cat', '--once').ended).toBe(0)
  })

  it('ends with words and exit 4 when its token is revoked', async () => {
    const agent = connect('cat')
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
    const file = join(home, 'token')
    await writeFile(file, `${workspace.authToken}\n`)
    const agent = connectWith(['--exec', 'cat', '--token-file', file], {
      env: { ATRIUM_TOKEN: '' },
    })
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
    const begun = join(home, 'begun')
    const agent = connect(`touch ${begun}; sleep 1; echo finished`)
    await agent.connected()
    await say('one')
    await say('two')
    await eventually(async () => (await readdir(home)).includes('begun'))
    agent.signal('SIGINT')
    expect(await agent.ended).toBe(0)
    expect(await told()).toEqual(['finished'])
    expect(await connect('cat', '--once').ended).toBe(0)
    expect(await told()).toEqual(['finished', 'two'])
  })

  it('goes on with what is left when its place in the feed was deleted', async () => {
    await say('old')
    expect(await connect('cat', '--once', '--from-start').ended).toBe(0)
    await platform.client.sql`DELETE FROM activity_logs WHERE workspace_id = ${workspace.id}`
    await say('new')
    const agent = connect('cat', '--once')
    expect(await agent.ended).toBe(0)
    expect(agent.stderr()).toContain('has no record of the last message this computer saw')
    expect(await told()).toEqual(['new'])
  })

  it('reports as lines of JSON, and nothing of the agent reaches the terminal raw', async () => {
    await say('\u001b]0;owned\u0007hi')
    const agent = connect('cat', '--once', '--from-start', '--json')
    expect(await agent.ended).toBe(0)
    const lines = agent
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => line.type)).toEqual(['connected', 'answered', 'ended'])
    const loud = connect('cat', '--once', '--from-start')
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
    const agent = connectWith(args)
    expect(await agent.ended).toBe(2)
    expect(agent.stderr()).toContain(words)
  })

  it('refuses a workspace that the platform calls itself', async () => {
    const pushed = await platform.json('/workspaces', { name: 'p', external: true })
    const created = (await pushed.json()) as { id: string; connection: { auth_token: string } }
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'push' WHERE id = ${created.id}`
    const called = { id: created.id, authToken: created.connection.auth_token }
    const agent = connectWith(['--exec', 'cat'], { workspace: called })
    expect(await agent.ended).toBe(1)
  })
})
