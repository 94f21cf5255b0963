import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRuntime, startAgentRuntime, userMessage } from '../../support/agent-runtime.ts'
import { whenReleased } from '../../support/command-agent.ts'
import { eventually } from '../../support/eventually.ts'
import type { OnlineWorkspace } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let agent: AgentRuntime
let workspace: OnlineWorkspace

beforeAll(async () => {
  const script = `
    require('node:fs').appendFileSync(process.env.ATRIUM_WORKSPACE_DIR + '/runs', 'x')
    ${whenReleased(`console.log('done')`)}`
  const runtimeConfig = { command: process.execPath, args: ['-e', script], max_waiting: 0 }
  const config = JSON.stringify({ runtime_config: runtimeConfig })
  agent = await startAgentRuntime({ config, isA2aOpen: true })
  workspace = await platform.onlineWorkspace(agent.url)
})

afterAll(() => agent.close())

const send = () =>
  platform.json(`/workspaces/${workspace.id}/a2a`, {
    jsonrpc: '2.0',
    id: 1,
    method: 'message/send',
    params: userMessage('x'),
  })

describe('a runtime that has no place left', () => {
  it('leaves the message to the queue, which brings it when there is one', async () => {
    const first = send()
    await eventually(() => agent.jobFolders().length === 1)
    const second = await send()
    expect(second.status).toBe(202)
    const { queue_id } = (await second.json()) as { queue_id: string }
    writeFileSync(join(agent.folders.workspace, 'released'), '')
    expect((await first).status).toBe(200)
    const row = await eventually(async () => {
      const answer = await platform.request(`/workspaces/${workspace.id}/a2a/queue/${queue_id}`)
      const body = (await answer.json()) as { status: string }
      return body.status === 'completed' && body
    })
    expect(JSON.stringify(row)).toContain('done')
    expect(readFileSync(join(agent.folders.workspace, 'runs'), 'utf8')).toBe('xx')
  })
})
