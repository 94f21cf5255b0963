import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  CARD,
  makeWorkspaceFolders,
  startAgentRuntime,
  userMessage,
} from '../../support/agent-runtime.ts'

describe('an agent that cannot work', () => {
  it('says that it is not configured, and why', async () => {
    const runtime = await startAgentRuntime({ config: 'runtime: langgraph' })
    try {
      const { status, error } = await runtime.call('message/send', userMessage('hi'))
      expect(status).toBe(200)
      expect(error).toMatchObject({
        code: -32603,
        message: 'agent is not configured',
        data: { code: 'agent_not_configured', hop: 'workspace', retryable: false },
      })
      expect(error?.data).toMatchObject({
        detail: expect.stringContaining('runtime_config.command is empty'),
      })
      const modern = { message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'hi' }] } }
      expect((await runtime.call('SendMessage', modern)).error?.data).toMatchObject([
        { reason: 'AGENT_NOT_CONFIGURED' },
      ])
      expect((await fetch(runtime.url + CARD)).status).toBe(200)
    } finally {
      await runtime.close()
    }
  })

  it('names the variables that are missing', async () => {
    const config = 'runtime_config: { command: cat, required_env: [SOME_KEY, OTHER_KEY, HAVE] }'
    const runtime = await startAgentRuntime({ config, env: { HAVE: '1' } })
    try {
      const { error } = await runtime.call('message/send', userMessage('hi'))
      expect(error?.data).toMatchObject({ detail: 'missing environment: SOME_KEY, OTHER_KEY' })
    } finally {
      await runtime.close()
    }
  })

  it('lets a message wait for it to be ready', async () => {
    const runtime = await startAgentRuntime({ hasNotStarted: true, startPatienceMs: 30_000 })
    try {
      const answer = runtime.call('message/send', userMessage('early'))
      expect(await Promise.race([answer, delay(150, 'still waiting')])).toBe('still waiting')
      await runtime.plane.host.start()
      expect((await answer).result).toMatchObject({ parts: [{ text: 'early' }] })
    } finally {
      await runtime.close()
    }
  })

  it('lets one of two messages for a task in when both have waited', async () => {
    const folders = makeWorkspaceFolders()
    const tasks = join(folders.configs, '.atrium', 'tasks')
    mkdirSync(tasks, { recursive: true })
    const status = { state: 'TASK_STATE_INPUT_REQUIRED', timestamp: new Date().toISOString() }
    const record = { version: 1, task: { id: 'asked', contextId: 'c', status } }
    writeFileSync(join(tasks, 'asked.json'), JSON.stringify(record))
    const script = 'setInterval(() => {}, 1000)'
    const runtime = await startAgentRuntime({
      config: JSON.stringify({
        runtime_config: { command: process.execPath, args: ['-e', script], concurrency: 4 },
      }),
      folders,
      hasNotStarted: true,
      startPatienceMs: 30_000,
    })
    try {
      const answers = Promise.all(
        ['this', 'that'].map((text) =>
          runtime.call('message/send', {
            ...userMessage(text, [], { taskId: 'asked' }),
            configuration: { blocking: false },
          }),
        ),
      )
      expect(await Promise.race([answers, delay(150, 'still waiting')])).toBe('still waiting')
      await runtime.plane.host.start()
      const codes = (await answers).map(({ error }) => error?.code)
      expect(codes.toSorted()).toEqual([-32004, undefined])
    } finally {
      await runtime.close()
    }
  })

  it('asks for patience while it is starting', async () => {
    const runtime = await startAgentRuntime({ hasNotStarted: true })
    try {
      const { error } = await runtime.call('message/send', userMessage('hi'))
      expect(error?.data).toMatchObject({ code: 'agent_starting', retryable: true })
    } finally {
      await runtime.close()
    }
  })
})
