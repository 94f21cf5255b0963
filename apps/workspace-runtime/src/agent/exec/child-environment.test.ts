import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import { describe, expect, it } from 'vitest'
import { childEnvironment, IDENTITY_NAMES } from './child-environment.ts'

const JOB = {
  messageId: 'm',
  contextId: 'c',
  taskId: 't',
  attachments: [],
  outputDirectory: '/w/.atrium/jobs/1/output',
}

function environment(own: Record<string, string>, job: Partial<typeof JOB> = {}) {
  const tool = {
    directory: '/app/bin',
    nodePath: '/app/node',
    platformUrl: 'http://platform:8080',
    tokenFile: '/configs/.auth_token',
  }
  const folders = { homeDirectory: '/h', workspaceDirectory: '/w' }
  const source = { own, ...folders, tool, credentials: ['s3cret'] }
  return childEnvironment(source, { ...JOB, ...job })
}

describe('childEnvironment', () => {
  const identity: readonly string[] = IDENTITY_NAMES

  it.each(Object.values(RUNTIME_ENV).filter((name) => !identity.includes(name)))(
    'withholds %s',
    (name) => {
      expect(environment({ [name]: 'value' })[name]).not.toBe('value')
    },
  )

  it('says who the agent is, and whom it answers to where there is somebody', () => {
    const own = { WORKSPACE_ID: 'w', PARENT_ID: 'p', TIER: '2' }
    expect(environment(own)).toMatchObject(own)
    expect(environment({ WORKSPACE_ID: 'w' })).not.toHaveProperty('PARENT_ID')
  })

  it.each([
    'ATRIUM_ANYTHING',
    'MOLECULE_WORKSPACE_TOKEN',
    'NODE_CHANNEL_FD',
    'npm_config_token',
    'ADMIN_TOKEN',
    'DATABASE_URL',
  ])('withholds %s', (name) => expect(environment({ [name]: 'value' })).not.toHaveProperty(name))

  it('withholds a credential under any name and within any text', () => {
    expect(environment({ A: 's3cret', B: 'Bearer s3cret', C: 'public' })).toMatchObject({
      C: 'public',
    })
    expect(Object.values(environment({ A: 's3cret', B: 'Bearer s3cret' })).join()).not.toContain(
      's3cret',
    )
  })

  it('has a PATH and a LANG even when the runtime has none, and its own when it has', () => {
    expect(environment({})).toMatchObject({
      LANG: 'C.UTF-8',
      PATH: expect.stringContaining('/usr/bin'),
    })
    expect(environment({ PATH: '/p', LANG: 'l', HOME: '/root' })).toMatchObject({
      PATH: '/p:/app/bin',
      LANG: 'l',
      HOME: '/h',
    })
  })

  it('says where the platform and the token of the workspace are, and no token', () => {
    expect(environment({ PLATFORM_URL: 'http://elsewhere' })).toMatchObject({
      ATRIUM_PLATFORM_URL: 'http://platform:8080',
      ATRIUM_TOKEN_FILE: '/configs/.auth_token',
      ATRIUM_NODE: '/app/node',
    })
  })

  it('hands down the mark by which a provisioner finds what a killed runtime left', () => {
    expect(environment({ ATRIUM_BOX: '/boxes/1' })).toMatchObject({ ATRIUM_BOX: '/boxes/1' })
  })

  it('survives ids that no environment can hold', () => {
    expect(environment({}, { messageId: 'a\0b' })['ATRIUM_MESSAGE_ID']).toBe('ab')
  })
})
