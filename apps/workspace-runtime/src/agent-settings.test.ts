import { describe, expect, it } from 'vitest'
import { type AgentSettings, parseAgentSettings } from './agent-settings.ts'

function settingsOf(yaml: string): AgentSettings {
  const result = parseAgentSettings(yaml)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.settings
}

describe('parseAgentSettings', () => {
  it('has the defaults of the contract', () => {
    expect(settingsOf('')).toEqual({
      name: 'Workspace',
      description: 'Workspace',
      version: '1.0.0',
      runtimeKind: 'langgraph',
      command: '',
      args: [],
      timeoutMs: undefined,
      requiredEnv: [],
      concurrency: 1,
      maxWaiting: 100,
      port: undefined,
      isStreaming: true,
    })
  })

  it('reads what is written, and ignores what it does not know', () => {
    const settings = settingsOf(`
name: 7
role: helper
runtime: exec
tier: 2
runtime_config: { command: python3, args: [tool.py, 3], timeout: 1.5, required_env: [KEY], concurrency: 2 }
a2a: { port: 9000, streaming: false, push_notifications: true }`)
    expect(settings).toMatchObject({
      name: '7',
      description: 'helper',
      runtimeKind: 'exec',
      command: 'python3',
      args: ['tool.py', '3'],
      timeoutMs: 1_500,
      requiredEnv: ['KEY'],
      concurrency: 2,
      port: 9000,
      isStreaming: false,
    })
  })

  it('takes a timeout of 0 for none', () => {
    expect(settingsOf('runtime_config: { timeout: 0 }').timeoutMs).toBeUndefined()
  })

  it('takes a timeout beyond what a timer can wait for the longest that one can', () => {
    expect(settingsOf('runtime_config: { timeout: 31536000 }').timeoutMs).toBe(2_147_483_647)
  })

  it.each(['- a list', 'runtime_config: { args: text }', 'a: ['])(
    'refuses %j with a reason',
    (yaml) => {
      expect(parseAgentSettings(yaml)).toMatchObject({ ok: false })
    },
  )
})
