import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  ask,
  closeAfterEachTest,
  failureOf,
  put,
  runtime,
  stdinToStdout,
  stored,
  withScript,
} from '../../support/command-agent.ts'

closeAfterEachTest()

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
