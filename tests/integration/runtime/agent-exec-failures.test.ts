import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { userMessage } from '../../support/agent-runtime.ts'
import {
  ask,
  closeAfterEachTest,
  failureOf,
  jobProcesses,
  partsOf,
  runtime,
  withScript,
} from '../../support/command-agent.ts'

closeAfterEachTest()

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
