import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import type { ActivityJson } from '../../support/external-workspace.ts'
import { ADMIN_TOKEN, startPlatformHarness } from '../../support/platform-harness.ts'
import { send } from '../../support/raw-client.ts'
import { runProcess } from '../../support/run-process.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

// A quote that would end a word of a shell, in the one place where an operator could put it. Where an
// organisation is set, nothing but registrations and beats passes without its header.
const ORG_ID = "o'rg"
sharePlatform({ MOLECULE_ORG_ID: ORG_ID })

const api = (path: string, init: RequestInit & { as?: string } = {}): Promise<Response> =>
  platform.request(path, {
    ...init,
    headers: { 'content-type': 'application/json', 'x-molecule-org-id': ORG_ID },
  })

const post = (path: string, body: unknown, as?: string): Promise<Response> =>
  api(path, {
    method: 'POST',
    body: JSON.stringify(body),
    ...(as === undefined ? {} : { as }),
  })

async function feed(of: { id: string; authToken: string }, query = ''): Promise<ActivityJson[]> {
  const answer = await api(`/workspaces/${of.id}/activity?${query}`, { as: of.authToken })
  return (await answer.json()) as ActivityJson[]
}

const SHELLS = ['sh', 'bash']
const SHELL_SNIPPETS = [
  'curl_register_template',
  'claude_code_channel_snippet',
  'atrium_connect_snippet',
] as const

let home: string
let connection: Record<string, string>
let children: ChildProcess[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'atrium-snippets-'))
  const created = await post('/workspaces', { name: 'x', external: true })
  connection = ((await created.json()) as { connection: Record<string, string> }).connection
})
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const closed = once(child, 'close')
    // With what it started itself.
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await closed
  }
  children = []
  await rm(home, { recursive: true, force: true })
})

const snippet = (name: string): string => connection[name] ?? ''
const environment = () => ({ HOME: home, WORKSPACE_AUTH_TOKEN: snippet('auth_token') })
const workspace = () => ({ id: snippet('workspace_id'), authToken: snippet('auth_token') })

async function row(): Promise<Record<string, unknown>> {
  return (await (await api(`/workspaces/${workspace().id}`)).json()) as never
}

/** Starts one that goes on; what it says comes back. */
function start(file: string, args: readonly string[], env: Record<string, string>) {
  const child = spawn(file, [...args], {
    cwd: home,
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  return { said: () => said }
}

async function ask(text: string): Promise<unknown> {
  const message = { role: 'user', messageId: text, parts: [{ kind: 'text', text }] }
  await post(`/workspaces/${workspace().id}/a2a`, {
    method: 'message/send',
    params: { message },
  })
  const rows = await eventually(async () => {
    const found = await feed(workspace(), 'source=canvas')
    return found.some((each) => each.method === 'notify') && found
  })
  return rows[0]?.response_body?.['result']
}

describe('the connection block', () => {
  it("has the contract's keys and ours, and the token in one place", () => {
    expect(Object.keys(connection).toSorted()).toEqual([
      'atrium_connect_snippet',
      'auth_token',
      'claude_code_channel_snippet',
      'curl_register_template',
      'heartbeat_endpoint',
      'org_id',
      'platform_url',
      'python_snippet',
      'registry_endpoint',
      'workspace_id',
    ])
    const { auth_token: token = '', ...rest } = connection
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(JSON.stringify(rest)).not.toContain(token)
    expect(connection['org_id']).toBe(ORG_ID)
    for (const name of ['curl_register_template', 'python_snippet']) {
      expect(snippet(name)).toContain('X-Molecule-Org-Id')
    }
  })

  it.each(SHELLS.flatMap((shell) => SHELL_SNIPPETS.map((name) => [shell, name] as const)))(
    'is understood by %s: %s',
    async (shell, name) => {
      const checked = await runProcess(shell, ['-n', '-c', snippet(name)])
      expect(checked).toMatchObject({ exitCode: 0, stderr: '' })
    },
  )
})

describe('the curl snippet', () => {
  it.each(SHELLS)('registers an agent that fetches its messages (%s)', async (shell) => {
    const ran = await runProcess(shell, ['-c', snippet('curl_register_template')], {
      env: environment(),
    })
    expect(JSON.parse(ran.stdout)).toMatchObject({ status: 'registered', delivery_mode: 'poll' })
    expect(await row()).toMatchObject({ status: 'online' })
  })

  it.each(SHELLS)('registers an agent that can be called (%s)', async (shell) => {
    const ran = await runProcess(shell, ['-c', snippet('curl_register_template')], {
      env: { ...environment(), AGENT_URL: 'http://93.184.216.34/agent' },
    })
    expect(JSON.parse(ran.stdout)).toMatchObject({ status: 'registered', delivery_mode: 'push' })
    expect(await row()).toMatchObject({ url: 'http://93.184.216.34/agent' })
  })
})

describe('the Python snippet', () => {
  it('is Python, and an agent that answers people and other workspaces', async () => {
    const file = join(home, 'agent.py')
    await writeFile(file, snippet('python_snippet'))
    const compiled = await runProcess('python3', ['-m', 'py_compile', file])
    expect(compiled.stderr).toBe('')
    const agent = start('python3', [file], environment())
    await eventually(() => agent.said().includes('waiting for messages'))
    expect(await ask('hello')).toBe('You said: hello')
    expect(await row()).toMatchObject({ status: 'online', delivery_mode: 'poll' })

    const asker = await post('/workspaces', { name: 'y', external: true })
    const peer = (await asker.json()) as { id: string; connection: { auth_token: string } }
    const message = { role: 'user', messageId: 'q', parts: [{ kind: 'text', text: 'and you?' }] }
    await post(
      `/workspaces/${workspace().id}/a2a`,
      { method: 'message/send', params: { message } },
      peer.connection.auth_token,
    )
    const [answer] = await eventually(async () => {
      const rows = await feed({ id: peer.id, authToken: peer.connection.auth_token })
      return rows.length > 0 && rows
    })
    expect(answer?.request_body?.params?.message).toMatchObject({
      parts: [{ kind: 'text', text: 'You said: and you?' }],
      metadata: { 'atrium/in_reply_to': 'q' },
    })
    // And over A2A, where both have asked.
    await eventually(async () => {
      const rows = await feed(workspace(), 'from=start')
      const answered = rows.filter((each) => each['queue_id'] && each.response_body?.['result'])
      return answered.length === 2
    })
    expect(agent.said()).not.toContain(workspace().authToken)
  })
})

describe('the snippet for the channel plugin', () => {
  it('writes what the plugin reads, for its user alone', async () => {
    const ran = await runProcess('sh', ['-c', snippet('claude_code_channel_snippet')], {
      env: environment(),
    })
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
    const file = join(home, '.claude/channels/molecule/.env')
    expect(await readFile(file, 'utf8')).toBe(
      `MOLECULE_PLATFORM_URL=${platform.url}\n` +
        `MOLECULE_WORKSPACE_IDS=${workspace().id}\nMOLECULE_WORKSPACE_TOKENS=${workspace().authToken}\n`,
    )
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })
})

describe("the snippet for this project's own client", () => {
  it('answers with any command', async () => {
    await mkdir(join(home, 'bin'))
    const main = resolve(import.meta.dirname, '../../../apps/cli/src/main.ts')
    const atrium = join(home, 'bin', 'atrium')
    await writeFile(atrium, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
    await chmod(atrium, 0o755)
    const agent = start('sh', ['-c', snippet('atrium_connect_snippet')], {
      ...environment(),
      PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
      AGENT_COMMAND: 'tr a-z A-Z',
    })
    await eventually(() => agent.said().includes('waiting for messages'))
    expect(await ask('loud')).toBe('LOUD')
  })
})

describe('every command of ours', () => {
  it('names the organisation: the guard lets a look-up by name through', async () => {
    const main = resolve(import.meta.dirname, '../../../apps/cli/src/main.ts')
    const env = { HOME: home, ATRIUM_URL: platform.url, ADMIN_TOKEN, ATRIUM_ORG_ID: ORG_ID }
    const listed = await runProcess(process.execPath, [main, 'workspaces', 'ls'], { env })
    expect(listed).toMatchObject({ exitCode: 0, stderr: '' })
    expect(listed.stdout).toContain(workspace().id)
  })
})

describe('platform_url', () => {
  async function urlFor(
    env: Record<string, string>,
    headers: Record<string, string>,
  ): Promise<string> {
    const other = await startPlatformHarness(env)
    try {
      const answer = await send(new URL('/workspaces', other.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers },
        body: Buffer.from(JSON.stringify({ name: 'x', external: true })),
      })
      const body = JSON.parse(answer.body.toString('utf8'))
      return String(body.connection.platform_url).replace(other.url, 'own')
    } finally {
      await other.stop()
    }
  }
  const forwarded = { 'x-forwarded-host': 'a.example, b.example', 'x-forwarded-proto': 'https' }
  const TRUSTED = { ATRIUM_TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.0/8' }

  it.each([
    ['the host that was asked', {}, { host: 'atrium.example:8443' }, 'http://atrium.example:8443'],
    ['no header of a stranger', {}, { host: 'a.example', ...forwarded }, 'http://a.example'],
    ['the nearest value of a trusted proxy', TRUSTED, forwarded, 'https://b.example'],
    ['no nonsense, even of a trusted one', TRUSTED, { 'x-forwarded-host': "a';id #" }, 'own'],
    ['no path in a host', TRUSTED, { 'x-forwarded-host': 'a.example/x' }, 'own'],
    [
      'the operator before all',
      { ...TRUSTED, EXTERNAL_PLATFORM_URL: 'https://op.example/base/' },
      forwarded,
      'https://op.example/base',
    ],
  ])('is %s', async (_, env, headers, expected) => {
    expect(await urlFor(env, headers)).toBe(expected)
  })
})
