import { readFileSync } from 'node:fs'
import { ConfigError } from '@atrium/http-kit/config-error'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../apps/platform/src/load-config.ts'
import {
  fetchTenantConfig,
  TENANT_VARIABLES,
} from '../../../apps/platform/src/provisioners/control-plane/tenant-config.ts'
import { ControlPlane } from '../../support/control-plane/control-plane.ts'
import type { Fault } from '../../support/control-plane/faults.ts'

let controlPlane: ControlPlane

beforeEach(async () => {
  controlPlane = new ControlPlane({ net: 81 })
  await controlPlane.start()
})
afterEach(() => controlPlane.stop())

const env = () => ({ ...controlPlane.platformEnv, ATRIUM_MODE: 'development' })
const secretOf = async (extra: Record<string, string> = {}) =>
  (await loadConfig({ ...env(), ...extra })).config.controlPlane.sharedSecret?.reveal()

describe("a tenant's configuration", () => {
  it('wins over the environment, for the variables that it may set', async () => {
    controlPlane.tenantConfig = { MOLECULE_CP_SHARED_SECRET: 'renewed', ATRIUM_MAX_FILES: '3' }
    const { config, tenant } = await loadConfig(env())
    expect(config.controlPlane.sharedSecret?.reveal()).toBe('renewed')
    expect(config.uploads.maxFiles).toBe(3)
    expect(tenant).toEqual({
      kind: 'applied',
      names: ['MOLECULE_CP_SHARED_SECRET', 'ATRIUM_MAX_FILES'],
      ignored: 0,
    })
    const [call] = controlPlane.callsOf('config')
    expect(call?.headers).toMatchObject({
      authorization: `Bearer ${controlPlane.adminToken}`,
      'x-molecule-org-id': controlPlane.orgId,
    })
  })

  it('fills in what the environment lacks', async () => {
    controlPlane.tenantConfig = { MOLECULE_CP_SHARED_SECRET: 'only-there' }
    expect(await secretOf({ MOLECULE_CP_SHARED_SECRET: '' })).toBe('only-there')
  })

  it('says nothing about anything else, however it is put', async () => {
    controlPlane.tenantConfig = {
      ADMIN_TOKEN: 'mine',
      DATABASE_URL: 'postgres://evil/x',
      ATRIUM_ENCRYPTION_KEY: 'k'.repeat(32),
      ATRIUM_ALLOW_PRIVATE_AGENTS: '1',
      ATRIUM_OPEN_WORKSPACE_SCOPE: '1',
      CP_PROVISION_URL: 'http://evil.example',
      NODE_OPTIONS: '--require /tmp/evil',
      ['__proto__']: 'x',
      ATRIUM_MAX_FILES: 7,
      CP_ADMIN_API_TOKEN: 'x'.repeat(4097),
    }
    const before = { ...process.env }
    const { config, tenant } = await loadConfig(env())
    expect(config).toEqual((await loadConfig(env(), never)).config)
    expect(tenant).toEqual({ kind: 'applied', names: [], ignored: 9 })
    expect(process.env).toEqual(before)
  })

  it('changes nothing when no platform could start with it', async () => {
    controlPlane.tenantConfig = { ATRIUM_MAX_FILES: 'many', MOLECULE_CP_SHARED_SECRET: 'renewed' }
    const { config, tenant } = await loadConfig(env())
    expect(config.controlPlane.sharedSecret?.reveal()).toBe(controlPlane.sharedSecret)
    expect(tenant).toMatchObject({ kind: 'refused', reason: expect.stringContaining('MAX_FILES') })
  })

  const faults: readonly Fault[] = [
    { kind: 'status', status: 503 },
    { kind: 'reset' },
    { kind: 'redirect', location: 'http://127.0.0.1:1/' },
    { kind: 'oversized', bytes: 70_000 },
    { kind: 'raw', status: 200, text: '["not a map"]' },
    { kind: 'html' },
  ]
  it.each(faults)('is best effort: %j', async (fault) => {
    controlPlane.fault = () => fault
    expect(await secretOf()).toBe(controlPlane.sharedSecret)
  })

  it('is not waited for', async () => {
    controlPlane.fault = () => ({ kind: 'hang' })
    const { tenant } = await loadConfig(env(), (source) =>
      fetchTenantConfig({ ...source, timeoutMs: 200 }),
    )
    expect(tenant).toMatchObject({ kind: 'unavailable', error: { code: 'control_plane_timeout' } })
  })

  it.each([{ ATRIUM_PROVISIONER: 'none' }, { MOLECULE_ORG_ID: '' }, { ADMIN_TOKEN: '' }])(
    'is not asked for with %j',
    async (without) => {
      await loadConfig({ ...env(), ...without }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(ConfigError)
      })
      expect(controlPlane.calls).toEqual([])
    },
  )

  it('has its variables in the guide', () => {
    const guide = readFileSync('docs/guides/control-plane.md', 'utf8')
    for (const name of TENANT_VARIABLES) expect(guide).toContain(`\`${name}\``)
  })
})

const never = async (): Promise<never> => {
  throw new Error('nobody answers')
}
