import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { boxEnvironment } from './box-environment.ts'
import { boxPaths } from './box-folder.ts'

const options = {
  paths: boxPaths('/data', 'id'),
  listenHost: '127.0.0.1',
  nodePath: '/opt/node/bin/node',
  inheritedEnv: {},
}
const input = { workspaceId: 'id', env: {}, secretEnv: {} }

describe('boxEnvironment', () => {
  it('holds what a runtime needs and nothing else', () => {
    expect(boxEnvironment(options, input)).toEqual({
      PATH: '/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      HOME: '/data/id/home',
      TMPDIR: '/data/id/tmp',
      WORKSPACE_ID: 'id',
      WORKSPACE_CONFIG_PATH: '/data/id/configs',
      CONFIGS_DIR: '/data/id/configs',
      PLUGINS_DIR: '/data/id/plugins',
      ATRIUM_ROOTS_DIR: '/data/id',
      ATRIUM_LISTEN_HOST: '127.0.0.1',
      PORT: '0',
      ATRIUM_BOX: '/data/id',
    })
  })

  it('takes over PATH, LANG and TZ, never anything else', () => {
    const inheritedEnv = { PATH: '/bin', TZ: 'UTC', LANG: '', ADMIN_TOKEN: 'x' }
    const environment = boxEnvironment({ ...options, inheritedEnv }, input)
    expect(environment).toMatchObject({ PATH: '/bin', TZ: 'UTC', LANG: 'C.UTF-8' })
    expect(environment).not.toHaveProperty('ADMIN_TOKEN')
  })

  it("ranks the platform's words above a workspace's secrets, and those above what is inherited", () => {
    const environment = boxEnvironment(
      { ...options, inheritedEnv: { TZ: 'UTC' } },
      {
        ...input,
        env: { TIER: '2', WORKSPACE_ID: 'other' },
        secretEnv: { TIER: new Secret('4'), TZ: new Secret('Asia/Tokyo'), PORT: new Secret('80') },
      },
    )
    expect(environment).toMatchObject({ TIER: '2', TZ: 'Asia/Tokyo', PORT: '0' })
    expect(environment['WORKSPACE_ID']).toBe('id')
  })

  it('lets no secret move the roots of a box that has them at their names on the wire', () => {
    const secretEnv = { ATRIUM_ROOTS_DIR: new Secret('/workspace') }
    const environment = boxEnvironment({ ...options, hasWirePaths: true }, { ...input, secretEnv })
    expect(environment).not.toHaveProperty('ATRIUM_ROOTS_DIR')
  })

  it.each([
    ['', 'x'],
    ['A=B', 'x'],
    ['1A', 'x'],
    ['A\n', 'x'],
    ['A', 'x\0y'],
  ])('refuses the variable %j with value %j without repeating the value', (name, value) => {
    const refused = () =>
      boxEnvironment(options, { ...input, secretEnv: { [name]: new Secret(value) } })
    expect(refused).toThrow('cannot be set')
    expect(refused).not.toThrow(/x\0y/)
  })
})
