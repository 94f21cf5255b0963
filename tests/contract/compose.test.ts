import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const ROOT = join(import.meta.dirname, '../..')
const SECRETS = /PASSWORD|TOKEN|_KEY|DATABASE_URL/

const composeFile = z.object({
  services: z.record(
    z.string(),
    z.looseObject({
      ports: z.array(z.string()).default([]),
      healthcheck: z.object({ test: z.array(z.string()) }),
      env_file: z.literal('compose.env').optional(),
      environment: z.record(z.string(), z.string()).default({}),
      volumes: z.array(z.string()).default([]),
      privileged: z.undefined().optional(),
      network_mode: z.undefined().optional(),
    }),
  ),
})

describe('compose.yaml', () => {
  const text = readFileSync(join(ROOT, 'compose.yaml'), 'utf8')
  const services = Object.entries(composeFile.parse(parse(text)).services)

  it('publishes on loopback only, and watches the health of each service', () => {
    expect(services.map(([name]) => name)).toEqual(['database', 'platform'])
    const ports = services.flatMap(([, { ports: each }]) => each)
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    expect(ports).toHaveLength(1)
  })

  it('has no secret of its own: all are in a file that git does not see', () => {
    const variables = services.flatMap(([, { environment }]) => Object.entries(environment))
    const secrets = variables.filter(([name]) => SECRETS.test(name))
    expect(secrets).toEqual([
      ['POSTGRES_PASSWORD', expect.stringMatching(/^\$\{POSTGRES_PASSWORD:\?[^}]+\}$/)],
    ])
    const { database, platform } = Object.fromEntries(services)
    // It is told its own password and no key of what it stores.
    expect(database?.env_file).toBe(undefined)
    expect(platform?.env_file).toBe('compose.env')
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')).toContain('compose.env')
    const example = readFileSync(join(ROOT, 'compose.env.example'), 'utf8')
    for (const name of ['POSTGRES_PASSWORD', 'ADMIN_TOKEN', 'ATRIUM_ENCRYPTION_KEY']) {
      expect(example).toMatch(new RegExp(`^${name}=$`, 'm'))
    }
  })

  it('hands no socket of an engine to anybody', () => {
    expect(services.flatMap(([, { volumes }]) => volumes).join()).not.toContain('docker.sock')
  })
})
