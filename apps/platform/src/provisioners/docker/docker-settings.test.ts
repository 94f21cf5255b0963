import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { dockerEnvironment, parseDockerSettings } from './docker-settings.ts'

function parse(env: Record<string, string> = {}) {
  return parseDockerSettings(z.object(dockerEnvironment).parse(env))
}

describe('parseDockerSettings', () => {
  it('has the sizes of the contract and never pulls unless told so', () => {
    const { settings, problems } = parse()
    expect(problems).toEqual([])
    expect(settings.tiers).toEqual({
      2: { memoryMb: 512, cpuShares: 1024 },
      3: { memoryMb: 2048, cpuShares: 2048 },
      4: { memoryMb: 4096, cpuShares: 4096 },
    })
    expect(settings.images.pull).toBe('never')
  })

  it.each(['unix:///run/x.sock', 'tcp://127.0.0.1:2375', 'tcp://[::1]:2375', 'tcp://localhost:1'])(
    'takes an engine at %s',
    (DOCKER_HOST) => {
      expect(parse({ DOCKER_HOST }).problems).toEqual([])
    },
  )

  it.each([
    'tcp://10.0.0.1:2375',
    'tcp://127.0.0.1',
    'ssh://root@host',
    'unix://relative',
    'unix:///',
    'http://127.0.0.1:2375',
    '/run/docker.sock',
  ])('refuses an engine at %s', (DOCKER_HOST) => {
    expect(parse({ DOCKER_HOST }).problems.join()).toMatch(/^DOCKER_HOST: /)
  })

  it.each([
    ['a=x:1, b = y@sha256:ab', { a: 'x:1', b: 'y@sha256:ab' }],
    ['{"a":"x:1"}', { a: 'x:1' }],
    ['', {}],
  ])('reads the images %j', (ATRIUM_DOCKER_IMAGES, byKind) => {
    expect(parse({ ATRIUM_DOCKER_IMAGES }).settings.images.byKind).toEqual(byKind)
  })

  it.each(['a', 'a=', '=x', '{"a":1}', '{"a":', 'a=x,'])('refuses the images %j', (text) => {
    const { problems } = parse({ ATRIUM_DOCKER_IMAGES: text })
    expect(problems.join()).toMatch(/^ATRIUM_DOCKER_IMAGES: /)
  })
})
