import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type AgentRuntime,
  type AgentRuntimeOptions,
  mintSecret,
  startAgentRuntime,
  userMessage,
} from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'

let runtime: AgentRuntime

afterEach(async () => {
  await runtime.close()
})

/** A workspace whose agent is this JavaScript. */
async function withScript(
  script: string,
  config: Record<string, unknown> = {},
  options: AgentRuntimeOptions = {},
): Promise<AgentRuntime> {
  const runtimeConfig = { command: process.execPath, args: ['-e', script], ...config }
  // JSON is YAML.
  runtime = await startAgentRuntime({
    config: JSON.stringify({ runtime_config: runtimeConfig }),
    ...options,
  })
  return runtime
}

type Parts = {
  kind: string
  text?: string
  file?: { uri: string; name: string; mimeType: string }
}[]

const partsOf = (result: Record<string, unknown> | undefined): Parts =>
  (result?.['parts'] ?? []) as Parts

async function ask(text: string, files: readonly object[] = []): Promise<Parts> {
  const { result } = await runtime.call('message/send', userMessage(text, files))
  if (result?.['kind'] !== 'message') throw new Error(JSON.stringify(result))
  return partsOf(result)
}

/** A failure is a message like any other to who waits in 0.3 (contract/runtime 8.2). */
async function failureOf(text = 'x'): Promise<string> {
  const [first] = await ask(text)
  expect(first?.text).toMatch(/^Agent error: /)
  return first?.text ?? ''
}

/** JavaScript that does `then` once the test has let it. */
const whenReleased = (then: string) => `
  const released = setInterval(() => {
    if (!require('node:fs').existsSync(process.env.ATRIUM_WORKSPACE_DIR + '/released')) return
    clearInterval(released); ${then}
  }, 20)`
const release = () => put('released', '')

const stdinToStdout = 'process.stdin.pipe(process.stdout)'
const stored = (uri: string) => join(runtime.folders.base, uri.replace('workspace:/', ''))
const put = (name: string, content: string) => {
  writeFileSync(join(runtime.folders.workspace, name), content)
  return `workspace:/workspace/${name}`
}
/** Processes whose environment names this workspace: whatever the job started, in whatever group. */
function jobProcesses(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(
        `ATRIUM_WORKSPACE_DIR=${runtime.folders.workspace}`,
      )
    } catch {
      // Gone meanwhile, or a kernel thread.
      return false
    }
  })
}

describe('a command as an agent', () => {
  it('gets the text on stdin and answers with stdout, without the line break at its end', async () => {
    await withScript(stdinToStdout)
    expect(await ask('hello\nwörld\n\n')).toEqual([{ kind: 'text', text: 'hello\nwörld' }])
  })

  it('runs without a shell: nothing in a message or an argument is interpreted', async () => {
    await withScript('', { args: ['-e', 'console.log(process.argv[1])', '$(id) `id` ; id > x'] })
    expect(await ask('$(id)')).toMatchObject([{ text: '$(id) `id` ; id > x' }])
  })

  it('finds attachments under their names in its folder, and tells equal ones apart', async () => {
    await withScript(`
      const fs = require('node:fs')
      const list = JSON.parse(process.env.ATRIUM_ATTACHMENTS)
      console.log(JSON.stringify({
        here: fs.readdirSync('.').sort(),
        contents: list.map((a) => fs.readFileSync(a.path, 'utf8')),
        list: list.map((a) => [a.name, a.mimeType]),
        count: process.env.ATRIUM_ATTACHMENT_COUNT,
        second: process.env.ATRIUM_ATTACHMENT_2 === list[1].path,
        cwd: process.cwd() === require('node:path').dirname(list[0].path),
      }))`)
    const files = [
      { uri: put('a.csv', 'one'), name: 'data.csv', mimeType: 'text/csv' },
      { uri: put('b.csv', 'two'), name: 'Data.csv' },
      { uri: put('c', 'three'), name: 'output' },
      { bytes: Buffer.from('four').toString('base64'), name: '../../x;y.txt' },
    ]
    const [part] = await ask('go', files)
    expect(JSON.parse(part?.text ?? '')).toEqual({
      here: ['Data-2.csv', 'data.csv', 'output', 'output-2', 'x_y.txt'],
      contents: ['one', 'two', 'three', 'four'],
      list: [
        ['data.csv', 'text/csv'],
        ['Data-2.csv', 'text/csv'],
        ['output-2', 'application/octet-stream'],
        ['x_y.txt', 'text/plain'],
      ],
      count: '4',
      second: true,
      cwd: true,
    })
  })

  it('may change its copy of an attachment; the original stays', async () => {
    await withScript(
      `require('node:fs').appendFileSync(process.env.ATRIUM_ATTACHMENT_1, ' changed')`,
    )
    const uri = put('original.txt', 'original')
    await ask('go', [{ uri }])
    expect(readFileSync(stored(uri), 'utf8')).toBe('original')
  })

  it('sends the files that it leaves in its output folder, after the text', async () => {
    await withScript(`
      const fs = require('node:fs'), out = process.env.ATRIUM_OUTPUT_DIR
      fs.writeFileSync(out + '/chart.png', 'png'); fs.writeFileSync('output/a;b.txt', 'text')
      console.log('done')`)
    const parts = await ask('go')
    expect(parts.map(({ text, file }) => text ?? [file?.name, file?.mimeType])).toEqual([
      'done',
      ['a_b.txt', 'text/plain'],
      ['chart.png', 'image/png'],
    ])
    const uri = parts[2]?.file?.uri ?? ''
    expect(uri).toMatch(
      /^workspace:\/workspace\/\.molecule\/chat-uploads\/[0-9a-f]{32}-chart\.png$/,
    )
    expect(readFileSync(stored(uri), 'utf8')).toBe('png')
    expect(statSync(stored(uri)).mode & 0o111).toBe(0)
  })

  it('sends regular files of its own only, and says what it did not send', async () => {
    await withScript(`
      const fs = require('node:fs'), { execFileSync } = require('node:child_process')
      fs.symlinkSync('/etc/passwd', 'output/link'); fs.mkdirSync('output/folder')
      execFileSync('mkfifo', ['output/pipe'])
      fs.linkSync(process.env.HOME + '/../configs/.auth_token', 'output/hard')
      fs.writeFileSync('output/real.txt', 'x')`)
    const parts = await ask('go')
    expect(parts.filter((part) => part.kind === 'file').map((part) => part.file?.name)).toEqual([
      'real.txt',
    ])
    for (const name of ['link', 'folder', 'pipe', 'hard']) {
      expect(parts[0]?.text).toContain(`[output/${name} was not sent: not a regular file]`)
    }
  })

  it('sends what can be sent beside a file whose name is not UTF-8', async () => {
    await withScript(`
      const fs = require('node:fs'), bytes = Buffer.from([0x6f, 0x64, 0x64, 0xff])
      fs.writeFileSync(Buffer.concat([Buffer.from('output/'), bytes]), 'x')
      fs.writeFileSync(bytes, 'x')
      fs.writeFileSync('output/real.txt', 'x'); console.log('done')`)
    const parts = await ask('go')
    expect(parts[0]?.text).toBe('done\n[output/odd_ was not sent: cannot be opened (ENOENT)]')
    expect(parts.slice(1).map(({ file }) => file?.name)).toEqual(['real.txt'])
    expect(runtime.jobFolders()).toEqual([])
  })

  it('says which file could not be stored, and keeps the text', async () => {
    await withScript(`require('node:fs').writeFileSync('output/a.txt', 'a'); console.log('done')`)
    put('.molecule', 'in the way of the uploads')
    const parts = await ask('x')
    expect(parts).toMatchObject([
      { text: expect.stringContaining('Agent error: output/a.txt: ') },
      { text: 'done' },
    ])
  })

  it('sends at most 64 files, and says that there were more', async () => {
    await withScript(`
      for (let i = 0; i < 66; i++) require('node:fs').writeFileSync('output/' + i, 'x')`)
    const parts = await ask('go')
    expect(parts[0]?.text).toContain('only 64 files can be sent')
    expect(parts.filter(({ kind }) => kind === 'file')).toHaveLength(64)
  })

  it('does not follow a link that was put in place of the output folder', async () => {
    await withScript(`
      const fs = require('node:fs')
      fs.rmdirSync('output'); fs.symlinkSync('/etc', 'output'); console.log('done')`)
    expect(await ask('go')).toEqual([{ kind: 'text', text: 'done' }])
  })

  it('says so when it says nothing', async () => {
    await withScript('')
    expect(await ask('go')).toMatchObject([{ text: '(no response generated)' }])
  })

  it('need not read what it is given', async () => {
    await withScript(`process.stdin.destroy(); console.log('ok')`)
    expect(await ask('x'.repeat(4 * 1024 * 1024))).toMatchObject([{ text: 'ok' }])
  })

  it('is cut at 1 MiB of output, with a note', async () => {
    await withScript(`process.stdout.write('x'.repeat(3 * 1024 * 1024))`)
    const [part] = await ask('go')
    expect(part?.text?.slice(0, 1024 * 1024)).toBe('x'.repeat(1024 * 1024))
    expect(part?.text?.slice(1024 * 1024)).toMatch(/longer than 1 MiB/)
  })

  it('leaves no job folder behind, not even after a failure', async () => {
    await withScript('if (process.env.ATRIUM_MESSAGE_ID) process.exit(1)')
    await failureOf()
    expect(runtime.jobFolders()).toEqual([])
  })

  it('finds the folders of its workspace by name in its arguments', async () => {
    await withScript('', {
      args: ['-e', 'console.log(process.argv[1])', '{workspace}/tool:{configs}'],
    })
    const { workspace, configs } = runtime.folders
    expect(await ask('go')).toMatchObject([{ text: `${workspace}/tool:${configs}` }])
  })

  it('sweeps what a crashed runtime left behind when it starts', async () => {
    await withScript(stdinToStdout, {}, { hasNotStarted: true })
    mkdirSync(join(runtime.folders.workspace, '.atrium/jobs/old/output'), { recursive: true })
    await runtime.plane.host.start()
    expect(runtime.jobFolders()).toEqual([])
  })

  it('starts also when something is left that cannot be removed', async () => {
    // Deeper than a path can be long.
    await withScript(`
      for (let i = 0; i < 20; i++) {
        require('node:fs').mkdirSync('d'.repeat(250)); process.chdir('d'.repeat(250))
      }
      console.log('ok')`)
    expect(await ask('go')).toMatchObject([{ text: 'ok' }])
    expect(runtime.jobFolders()).toHaveLength(1)
    await runtime.plane.host.start()
    expect(runtime.plane.host.state.kind).toBe('ready')
    execFileSync('rm', ['-rf', runtime.folders.workspace])
  })

  it('does not put jobs where a link leads', async () => {
    await withScript(stdinToStdout)
    symlinkSync(runtime.folders.home, join(runtime.folders.workspace, '.atrium.new'))
    const jobs = join(runtime.folders.workspace, '.atrium')
    renameSync(jobs, `${jobs}.old`)
    renameSync(`${jobs}.new`, jobs)
    // Nor does a link that a command has put there keep the agent from starting again.
    await runtime.plane.host.start()
    expect(runtime.plane.host.state.kind).toBe('ready')
    expect(await failureOf()).toBe('Agent error: internal error')
    expect(readdirSync(runtime.folders.home)).toEqual([])
  })
})

describe('the environment of a command', () => {
  const printEnvironment = 'console.log(JSON.stringify(process.env))'

  it('has the workspace, the message and the own variables of the workspace', async () => {
    await withScript(
      printEnvironment,
      {},
      { env: { PROVIDER_KEY: 'provider-key', LANG: 'de_DE.UTF-8' } },
    )
    const { result } = await runtime.call('message/send', {
      message: { ...userMessage('x').message, messageId: 'm-1', contextId: 'c-1' },
    })
    const environment = JSON.parse(partsOf(result)[0]?.text ?? '')
    expect(environment).toMatchObject({
      HOME: runtime.folders.home,
      LANG: 'de_DE.UTF-8',
      PROVIDER_KEY: 'provider-key',
      ATRIUM_WORKSPACE_DIR: runtime.folders.workspace,
      ATRIUM_MESSAGE_ID: 'm-1',
      ATRIUM_CONTEXT_ID: 'c-1',
      ATRIUM_ATTACHMENTS: '[]',
      ATRIUM_ATTACHMENT_COUNT: '0',
    })
    expect(environment['ATRIUM_TASK_ID']).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('has no credential under any name, and nothing of the runtime itself', async () => {
    await withScript(
      printEnvironment,
      {},
      {
        env: {
          MOLECULE_WORKSPACE_TOKEN: 'm',
          ATRIUM_ROOTS_DIR: '/x',
          ATRIUM_ENCRYPTION_KEY: 'k',
          PLATFORM_URL: 'http://p',
          ADMIN_TOKEN: 'a',
          DATABASE_URL: 'd',
          NODE_OPTIONS: '--no-warnings',
          NODE_CHANNEL_FD: '3',
          PORT: '1',
        },
      },
    )
    const environment: Record<string, string> = JSON.parse((await ask('x'))[0]?.text ?? '')
    for (const name of [
      'MOLECULE_WORKSPACE_TOKEN',
      'ATRIUM_ROOTS_DIR',
      'ATRIUM_ENCRYPTION_KEY',
      'PLATFORM_URL',
    ]) {
      expect(environment).not.toHaveProperty(name)
    }
    for (const name of ['ADMIN_TOKEN', 'DATABASE_URL', 'NODE_OPTIONS', 'NODE_CHANNEL_FD', 'PORT']) {
      expect(environment).not.toHaveProperty(name)
    }
    const values = JSON.stringify(environment)
    for (const secret of [runtime.authToken, runtime.inboundSecret]) {
      expect(values).not.toContain(secret)
    }
  })

  it('drops a variable that holds a credential, whatever it is called', async () => {
    const authToken = mintSecret()
    const env = { INNOCENT: `prefix-${authToken}`, HARMLESS: 'x' }
    await withScript(printEnvironment, {}, { env, authToken })
    const environment = JSON.parse((await ask('x'))[0]?.text ?? '')
    expect([environment['INNOCENT'], environment['HARMLESS']]).toEqual([undefined, 'x'])
  })
})

describe('a command that fails', () => {
  it('says its exit code and the end of its stderr', async () => {
    await withScript(
      `console.log('part'); console.error('first\\nno such \\x1b[31mcolumn'); process.exit(3)`,
    )
    expect(await failureOf()).toBe(
      'Agent error: the command ended with exit code 3\nfirst\nno such [31mcolumn',
    )
    expect(readFileSync(runtime.logFile, 'utf8')).toContain('"line":"first"')
  })

  it('keeps what it said before it failed', async () => {
    await withScript(`console.log('half'); process.exitCode = 1`)
    expect(await ask('x')).toMatchObject([
      { text: 'Agent error: the command ended with exit code 1' },
      { text: 'half' },
    ])
    const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'x' }] }
    const { result } = await runtime.call('SendMessage', { message })
    expect(result).toMatchObject({
      task: { status: { state: 'TASK_STATE_FAILED' }, artifacts: [{ parts: [{ text: 'half' }] }] },
    })
  })

  it('does not fill the log with what it writes to stderr', async () => {
    await withScript(`
      process.stderr.write('y'.repeat(1e6) + '\\n')
      for (let i = 0; i < 5000; i++) console.error('line ' + i)
      process.exitCode = 1`)
    expect(await failureOf()).toContain('line 4999')
    expect(statSync(runtime.logFile).size).toBeLessThan(200_000)
  })

  it('is named when it cannot be started', async () => {
    await withScript('', { command: '/no/such/program' })
    expect(await failureOf()).toBe('Agent error: the command could not be started (ENOENT)')
    expect(runtime.jobFolders()).toEqual([])
  })

  it('is named when what it is given is too long for any program', async () => {
    await withScript('')
    const { message } = userMessage('x', [], { messageId: 'm'.repeat(200_000) })
    const { result } = await runtime.call('message/send', { message })
    expect(partsOf(result)[0]?.text).toContain('could not be started (E2BIG)')
    expect(runtime.jobFolders()).toEqual([])
  })

  it('is named when an argument cannot be one', async () => {
    await withScript('', { args: ['a\0b'] })
    expect(await failureOf()).toBe(
      'Agent error: the command could not be started (ERR_INVALID_ARG_VALUE)',
    )
  })

  it('is named when it may not be executed', async () => {
    await withScript('', { command: '{workspace}/tool' })
    writeFileSync(join(runtime.folders.workspace, 'tool'), '#!/bin/sh\necho hi\n')
    chmodSync(join(runtime.folders.workspace, 'tool'), 0o600)
    expect(await failureOf()).toBe('Agent error: the command could not be started (EACCES)')
  })

  it('is ended with everything it started when it takes too long', async () => {
    await withScript(
      `require('node:child_process').spawn('sleep', ['300']); setInterval(() => {}, 1000)`,
      { timeout: 0.3 },
    )
    expect(await failureOf()).toBe('Agent error: the command was ended after 0.3 s')
    expect(jobProcesses()).toEqual([])
  })

  it('is ended in the middle of an output that never ends', async () => {
    await withScript('', { command: 'yes', args: [], timeout: 0.5 })
    expect(await failureOf()).toBe('Agent error: the command was ended after 0.5 s')
    expect(jobProcesses()).toEqual([])
  })

  it('leaves nothing running when it ends but its children do not', async () => {
    await withScript(
      `require('node:child_process').spawn('sleep', ['300'], { stdio: 'inherit' }).unref(); console.log('ok')`,
    )
    expect(await ask('x')).toMatchObject([{ text: 'ok' }])
    expect(jobProcesses()).toEqual([])
  })
})

describe('a task of a command', () => {
  const slow = `
    process.on('SIGTERM', () => {})
    require('node:child_process').spawn('sleep', ['300'])
    console.log('started'); setInterval(() => {}, 1000)`

  /** Starts a streaming call and resolves with its task when the command has said something. */
  async function startTask() {
    const events = runtime.stream('message/stream', userMessage('x'))
    let taskId = ''
    for (;;) {
      const { value, done } = await events.next()
      if (done === true) throw new Error('the stream ended')
      const result = value['result'] as { kind: string; id?: string }
      if (result.kind === 'task') taskId = result.id ?? ''
      if (result.kind === 'artifact-update') return { taskId, events }
    }
  }

  const stateOf = async (id: string) => {
    const { result } = await runtime.call('tasks/get', { id })
    return (result as { status: { state: string } }).status.state
  }

  it('shows output while it runs, and the files at the end', async () => {
    await withScript(`
      console.log('one')
      ${whenReleased(`console.log('two'); require('node:fs').writeFileSync('output/f.txt', 'f')`)}`)
    const parts: Parts = []
    for await (const { result } of runtime.stream('message/stream', userMessage('x'))) {
      const { artifact } = result as { artifact?: { parts: Parts } }
      parts.push(...(artifact?.parts ?? []))
      if (parts.length > 0) release()
    }
    const texts = parts.flatMap(({ text }) => text ?? [])
    expect(texts.length).toBeGreaterThan(1)
    expect(texts.join('')).toBe('one\ntwo')
    expect(parts.at(-1)).toMatchObject({ kind: 'file', file: { name: 'f.txt' } })
  })

  it('is canceled with its whole process group, even when that ignores SIGTERM', async () => {
    await withScript(slow)
    const { taskId, events } = await startTask()
    expect(jobProcesses().length).toBeGreaterThanOrEqual(2)
    const { result } = await runtime.call('tasks/cancel', { id: taskId })
    expect(result).toMatchObject({ status: { state: 'canceled' } })
    expect(jobProcesses()).toEqual([])
    const states: unknown[] = []
    for await (const { result: last } of events)
      states.push((last as { status: { state: string } }).status.state)
    expect(states).toEqual(['canceled'])
    expect(runtime.jobFolders()).toEqual([])
    expect(runtime.plane.meter.report()).toMatchObject({ errors: 0, activeTasks: 0 })
  })

  it('goes on when its client goes away, and can be asked for afterwards', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    await events.return(undefined)
    expect(await stateOf(taskId)).toBe('working')
    release()
    await eventually(async () => (await stateOf(taskId)) === 'completed')
    const { result } = await runtime.call('tasks/get', { id: taskId })
    const { artifacts } = result as { artifacts: { parts: { text: string }[] }[] }
    expect(artifacts[0]?.parts.map((part) => part.text).join('')).toBe('one\ntwo')
  })

  it('takes no second message while it is worked on, and keeps its answer', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    const { message } = userMessage('more', [], { taskId })
    const modern = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'more' }], taskId }
    for (const refused of [
      await runtime.call('message/send', { message, configuration: { blocking: false } }),
      await runtime.call('message/stream', { message }),
      await runtime.call('SendMessage', { message: modern }),
    ]) {
      expect(refused.error?.code).toBe(-32004)
    }
    expect(await stateOf(taskId)).toBe('working')
    release()
    for await (const _ of events) {
      // To the end.
    }
    const { result } = await runtime.call('tasks/get', { id: taskId })
    const { artifacts } = result as { artifacts: { parts: Parts }[] }
    expect(artifacts[0]?.parts.map(({ text }) => text).join('')).toBe('one\ntwo')
    const late = await runtime.call('message/send', { message })
    expect(late.error?.code).toBe(-32004)
  })

  it('can be followed again by who lost the stream', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    await events.return(undefined)
    const kinds: string[] = []
    let text = ''
    for await (const { result } of runtime.stream('tasks/resubscribe', { id: taskId })) {
      const event = result as {
        kind: string
        artifact?: { parts: Parts }
        artifacts?: { parts: Parts }[]
      }
      kinds.push(event.kind)
      release()
      const parts = event.artifact?.parts ?? event.artifacts?.[0]?.parts ?? []
      text += parts.map((part) => part.text).join('')
    }
    expect([kinds[0], kinds.at(-1), text]).toEqual(['task', 'status-update', 'one\ntwo'])
  })

  it('waits for its turn, in order, and can be canceled while it waits', async () => {
    await withScript(`
      process.stdin.on('data', (text) => { ${whenReleased('console.log(String(text))')} })`)
    const order: string[] = []
    const finish = async (text: string) => {
      await ask(text)
      order.push(text)
    }
    const first = finish('first')
    await eventually(() => runtime.jobFolders().length === 1)
    const params = { ...userMessage('never'), configuration: { blocking: false } }
    const waiting = await runtime.call('message/send', params)
    const second = finish('second')
    await eventually(() => runtime.plane.meter.report().activeTasks === 3)
    expect(runtime.plane.meter.report().currentTask).toBe('first')
    expect(runtime.jobFolders()).toHaveLength(1)
    const id = waiting.result?.['id']
    expect(await stateOf(String(id))).toBe('submitted')
    const { result } = await runtime.call('tasks/cancel', { id })
    expect(result).toMatchObject({ status: { state: 'canceled' } })
    release()
    await Promise.all([first, second])
    expect(order).toEqual(['first', 'second'])
  })

  it('runs beside others when that is configured', async () => {
    await withScript(whenReleased(`console.log('ok')`), { concurrency: 2 })
    const both = [ask('a'), ask('b')]
    await eventually(() => runtime.jobFolders().length === 2)
    release()
    await Promise.all(both)
  })

  it('is turned away when too many wait already', async () => {
    await withScript('setInterval(() => {}, 1000)')
    const states: unknown[] = []
    for (let message = 0; message < 102; message += 1) {
      const params = { ...userMessage('x'), configuration: { blocking: false } }
      const { result } = await runtime.call('message/send', params)
      states.push(await stateOf(String(result?.['id'])))
    }
    expect(states.slice(0, 101)).not.toContain('rejected')
    expect(states.at(-1)).toBe('rejected')
  })

  it('is not begun any more when the runtime is stopping', async () => {
    await withScript(slow)
    await runtime.plane.executor.stop()
    expect(await failureOf()).toBe('Agent error: the workspace is shutting down')
    expect(runtime.jobFolders()).toEqual([])
  })

  it('is ended when the runtime stops, and says so', async () => {
    await withScript(slow.replace(`process.on('SIGTERM', () => {})`, ''))
    const { taskId } = await startTask()
    await runtime.plane.executor.stop()
    expect(jobProcesses()).toEqual([])
    expect(await stateOf(taskId)).toBe('failed')
  })
})
