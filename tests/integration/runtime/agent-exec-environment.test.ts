import { describe, expect, it } from 'vitest'
import { mintSecret, userMessage } from '../../support/agent-runtime.ts'
import {
  ask,
  closeAfterEachTest,
  partsOf,
  runtime,
  withScript,
} from '../../support/command-agent.ts'

closeAfterEachTest()

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
