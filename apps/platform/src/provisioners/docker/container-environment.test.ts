import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { containerEnvironment } from './container-environment.ts'

const input = { workspaceId: 'id', env: {}, secretEnv: {} }

describe('containerEnvironment', () => {
  it('holds what a runtime needs and nothing else', () => {
    expect(containerEnvironment(input, undefined)).toEqual([
      'LANG=C.UTF-8',
      'HOME=/home',
      'WORKSPACE_ID=id',
      'WORKSPACE_CONFIG_PATH=/configs',
      'CONFIGS_DIR=/configs',
      'PLUGINS_DIR=/plugins',
      'ATRIUM_LISTEN_HOST=0.0.0.0',
      'PORT=8000',
    ])
  })

  it("ranks the platform's words above a workspace's secrets, and lets none move the roots", () => {
    const secretEnv = {
      TIER: new Secret('4'),
      PORT: new Secret('80'),
      ATRIUM_ROOTS_DIR: new Secret('/tmp'),
      KEY: new Secret('value'),
    }
    const environment = containerEnvironment({ ...input, env: { TIER: '2' }, secretEnv }, undefined)
    expect(environment).toEqual(expect.arrayContaining(['TIER=2', 'PORT=8000', 'KEY=value']))
    expect(environment.join()).not.toContain('ROOTS')
  })

  it.each([
    ['http://127.0.0.1:8080', undefined, 'http://host.docker.internal:8080'],
    ['http://localhost:8080', undefined, 'http://host.docker.internal:8080'],
    ['http://[::1]:8080', undefined, 'http://host.docker.internal:8080'],
    ['https://atrium.example', undefined, 'https://atrium.example'],
    ['http://127.0.0.1:8080', 'http://platform:8080', 'http://platform:8080'],
  ])('tells a platform at %s, configured as %s, as %s', (url, configured, expected) => {
    const env = { PLATFORM_URL: url, MOLECULE_URL: url }
    const environment = containerEnvironment({ ...input, env }, configured)
    expect(environment).toContain(`PLATFORM_URL=${expected}`)
    expect(environment).toContain(`MOLECULE_URL=${expected}`)
  })

  it.each([
    ['', 'x'],
    ['A=B', 'x'],
    ['A\n', 'x'],
    ['A', 'x\0y'],
  ])('refuses the variable %j with value %j without repeating the value', (name, value) => {
    const refused = () =>
      containerEnvironment({ ...input, secretEnv: { [name]: new Secret(value) } }, undefined)
    expect(refused).toThrow('cannot be set')
    expect(refused).not.toThrow(/x\0y/)
  })
})
