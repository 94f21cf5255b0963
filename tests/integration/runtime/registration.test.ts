import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentialId } from '@atrium/http-kit/bearer'
import { type Clock, systemClock, systemIds } from '@atrium/http-kit/clock'
import type { UploadSweepReport } from '@atrium/runtime-contract/registration'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WorkMeter } from '../../../apps/workspace-runtime/src/agent/work-meter.ts'
import { HeartbeatJob } from '../../../apps/workspace-runtime/src/registration/heartbeat.job.ts'
import { PlatformClient } from '../../../apps/workspace-runtime/src/registration/platform-client.ts'
import { Presence } from '../../../apps/workspace-runtime/src/registration/presence.ts'
import { registerWithPlatform } from '../../../apps/workspace-runtime/src/registration/register-with-platform.ts'
import { CredentialFile } from '../../../apps/workspace-runtime/src/secrets/credential-file.ts'
import { InboundSecretStore } from '../../../apps/workspace-runtime/src/secrets/inbound-secret-store.ts'
import { mintSecret } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'
import {
  BEAT_ACCEPTED,
  REGISTERED,
  type RegistryServer,
  startRegistryServer,
} from '../../support/registry-server.ts'
import { runLogPath } from '../../support/secret-ledger.ts'

/** A thousand times faster, and it remembers how long it was asked to wait. */
class HurriedClock implements Clock {
  readonly waits: number[] = []
  readonly now = () => new Date()
  /** Set, the pause between two regular beats does not end by itself. */
  isHolding = false

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(ms)
    if (this.isHolding && ms === 29_000) await systemClock.sleep(60_000, signal)
    await systemClock.sleep(Math.ceil(ms / 1_000), signal)
  }
}

const WORKSPACE_ID = '6a1b6f0e-6f0b-4d1c-9a43-0a5c6b9d0c11'

describe('the presence of a runtime', () => {
  let registry: RegistryServer
  let folder: string
  let clock: HurriedClock
  let client: PlatformClient
  let meter: WorkMeter
  let presence: Presence
  let authToken: CredentialFile
  let inboundSecret: InboundSecretStore
  let secretsAheadMs: number
  let swept: UploadSweepReport | undefined
  let logFile: string

  beforeEach(async () => {
    registry = await startRegistryServer()
    folder = mkdtempSync(join(tmpdir(), 'atrium-registration-'))
    clock = new HurriedClock()
    authToken = new CredentialFile(join(folder, '.auth_token'), {
      clock: systemClock,
      ids: systemIds,
    })
    logFile = runLogPath('registration')
    const log = pino({ level: 'debug' }, pino.destination({ dest: logFile, sync: true }))
    secretsAheadMs = 0
    swept = undefined
    inboundSecret = new InboundSecretStore(folder, {
      clock: { now: () => new Date(systemClock.now().getTime() + secretsAheadMs) },
      ids: systemIds,
      log,
      graceMs: 600_000,
      onChange: () => presence.nudge(),
    })
    client = new PlatformClient({ platformUrl: registry.url, workspaceId: WORKSPACE_ID, authToken })
    meter = new WorkMeter(() => presence.nudge())
    const heartbeat = new HeartbeatJob({
      client,
      clock,
      log,
      workspaceId: WORKSPACE_ID,
      inboundSecret,
      work: meter,
      uploadSweep: { report: () => swept },
    })
    const registration = () => ({
      id: WORKSPACE_ID,
      url: 'http://127.0.0.1:8000',
      agent_card: { name: 'agent' },
    })
    const deps = { client, clock, log, random: () => 0, authToken, inboundSecret, registration }
    presence = new Presence({
      clock,
      log,
      heartbeat,
      register: (signal) => registerWithPlatform(deps, signal),
    })
  })

  afterEach(async () => {
    await presence.stop()
    await client.close()
    await registry.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const registered = () => eventually(() => presence.isRegistered)
  const beats = (count: number) => eventually(() => registry.beats.length >= count)

  describe('registering', () => {
    it('says who and where it is, without a bearer while it has none', async () => {
      presence.start()
      await registered()
      const [call] = registry.registrations
      expect(call?.path).toBe('/registry/register')
      expect(call?.body).toEqual({
        id: WORKSPACE_ID,
        url: 'http://127.0.0.1:8000',
        agent_card: { name: 'agent' },
      })
      expect(call?.headers['authorization']).toBeUndefined()
      expect(call?.headers['x-workspace-id']).toBe(WORKSPACE_ID)
    })

    it('keeps both credentials of the answer, 0600, and uses the token from then on', async () => {
      const [token, secret] = [mintSecret(), mintSecret()]
      registry.onRegister = () => ({
        status: 200,
        body: { status: 'registered', auth_token: token, platform_inbound_secret: secret },
      })
      presence.start()
      await beats(1)
      for (const [name, value] of [
        ['.auth_token', token],
        ['.platform_inbound_secret', secret],
      ] as const) {
        expect(readFileSync(join(folder, name), 'utf8')).toBe(value)
        expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
      }
      expect(registry.beats[0]?.headers['authorization']).toBe(`Bearer ${token}`)
      expect(registry.beats[0]?.body['inbound_secret_id']).toBe(credentialId(secret))
      expect(readFileSync(logFile, 'utf8')).not.toContain(token)
    })

    it('repeats until it is accepted, waiting twice as long each time up to 30 s', async () => {
      registry.onRegister = () => (registry.registrations.length < 8 ? { status: 503 } : REGISTERED)
      presence.start()
      await registered()
      expect(clock.waits.slice(0, 7)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    })

    it('gives up an answer that trickles and never ends', async () => {
      const trickle = createServer((_, response) => {
        response.writeHead(200)
        const drip = setInterval(() => response.write(' '), 20)
        response.once('close', () => clearInterval(drip))
      })
      trickle.listen(0, '127.0.0.1')
      await once(trickle, 'listening')
      const { port } = trickle.address() as AddressInfo
      const patient = new PlatformClient({
        platformUrl: `http://127.0.0.1:${port}`,
        workspaceId: WORKSPACE_ID,
        authToken,
        timeoutMs: 300,
      })
      try {
        const call = patient.post('/registry/heartbeat', {}, new AbortController().signal)
        await expect(call).rejects.toThrow(/timeout/)
      } finally {
        await patient.close()
        trickle.close()
        trickle.closeAllConnections()
      }
    })

    it('repeats when nobody listens', async () => {
      await registry.close()
      presence.start()
      await eventually(() => clock.waits.length >= 3)
      expect(presence.isRegistered).toBe(false)
    })

    it('waits as long as it is told to', async () => {
      registry.onRegister = () =>
        registry.registrations.length === 1
          ? { status: 429, headers: { 'retry-after': '120' } }
          : REGISTERED
      presence.start()
      await registered()
      expect(clock.waits[0]).toBe(120_000)
    })

    it('repeats a refusal slowly, with the token that lies in the file by then', async () => {
      const [stale, fresh] = [mintSecret(), mintSecret()]
      authToken.save(stale)
      registry.onRegister = (call) => {
        if (call.headers['authorization'] === `Bearer ${fresh}`) return REGISTERED
        new CredentialFile(join(folder, '.auth_token'), {
          clock: systemClock,
          ids: systemIds,
        }).save(fresh)
        return { status: 401, body: { error: 'invalid workspace auth token' } }
      }
      presence.start()
      await registered()
      expect(clock.waits[0]).toBe(30_000)
      expect(registry.registrations).toHaveLength(2)
    })

    it.each([
      ['a redirect', { ...REGISTERED, status: 302, headers: { location: '/registry/elsewhere' } }],
      ['an answer that is not JSON', { status: 200, body: '<html>' }],
      ['an answer of somebody else', { status: 200, body: { hello: 'world' } }],
    ])('does not take %s for a registration', async (_, answer) => {
      registry.onRegister = () => (registry.registrations.length === 1 ? answer : REGISTERED)
      presence.start()
      await registered()
      expect(registry.registrations.map((call) => call.path)).toEqual([
        '/registry/register',
        '/registry/register',
      ])
    })
  })

  describe('beating', () => {
    it('beats every 30 s with what it knows', async () => {
      presence.start()
      await beats(2)
      expect(registry.beats[0]?.path).toBe('/registry/heartbeat')
      expect(registry.beats[0]?.body).toEqual({
        workspace_id: WORKSPACE_ID,
        error_rate: 0,
        sample_error: '',
        active_tasks: 0,
        current_task: '',
        uptime_seconds: 0,
      })
      expect(clock.waits.slice(0, 4)).toEqual([1_000, 29_000, 1_000, 29_000])
    })

    it.each([401, 404])('registers again after %i', async (status) => {
      registry.onHeartbeat = () => (registry.beats.length === 1 ? { status } : BEAT_ACCEPTED)
      presence.start()
      await beats(2)
      expect(registry.registrations).toHaveLength(2)
    })

    it.each([
      ['500', { status: 500 }],
      ['a redirect', { ...BEAT_ACCEPTED, status: 307, headers: { location: '/x' } }],
      ['200 without the right body', { status: 200, body: {} }],
    ])('does not take %s for an accepted beat, nor for a stranger', async (_, answer) => {
      meter.begin('x').end('it broke')
      registry.onHeartbeat = () => (registry.beats.length === 1 ? answer : BEAT_ACCEPTED)
      presence.start()
      await beats(3)
      const rates = registry.beats
        .slice(0, 3)
        .map(({ body }) => [body['error_rate'], body['sample_error']])
      // Told again until it has arrived, and then no more.
      expect(rates).toEqual([
        [1, 'it broke'],
        [1, 'it broke'],
        [0, ''],
      ])
      expect(registry.registrations).toHaveLength(1)
    })

    it('tells the share of turns that failed and the last failure', async () => {
      for (const failure of [undefined, 'first', undefined, 'second\nwith a second line']) {
        meter.begin('turn').end(failure)
      }
      presence.start()
      await beats(1)
      expect(registry.beats[0]?.body).toMatchObject({ error_rate: 0.5, sample_error: 'second' })
    })

    it('tells at once that a task began and ended', async () => {
      clock.isHolding = true
      presence.start()
      await registered()
      const work = meter.begin('summarise the report\nin three lines')
      await eventually(() => registry.beats.at(-1)?.body['active_tasks'] === 1)
      expect(registry.beats.at(-1)?.body['current_task']).toBe('summarise the report')
      work.end()
      await eventually(() => registry.beats.at(-1)?.body['active_tasks'] === 0)
      expect(registry.beats.at(-1)?.body['current_task']).toBe('')
    })

    it('tells of the last sweep of the upload folder, once there was one', async () => {
      presence.start()
      await beats(1)
      expect(registry.beats[0]?.body).not.toHaveProperty('runtime_metadata')
      swept = { seconds_ago: 3, removed: 2, failed: 1 }
      const told = { upload_sweep: { seconds_ago: 3, removed: 2, failed: 1 } }
      await eventually(() => registry.beats.at(-1)?.body['runtime_metadata'] !== undefined)
      expect(registry.beats.at(-1)?.body['runtime_metadata']).toEqual(told)
    })

    it('makes one extra beat of many changes, at least a second after the last', async () => {
      clock.isHolding = true
      presence.start()
      await registered()
      for (let turn = 0; turn < 50; turn += 1) meter.begin('turn').end()
      await beats(1)
      await eventually(() => clock.waits.filter((ms) => ms === 29_000).length === 2)
      expect(registry.beats).toHaveLength(1)
      expect(clock.waits.filter((ms) => ms === 1_000)).toHaveLength(2)
    })

    it('keeps the inbound secret that an answer brings, and says which one it holds', async () => {
      const secret = mintSecret()
      registry.onHeartbeat = ({ body }) =>
        body['inbound_secret_id'] === credentialId(secret)
          ? BEAT_ACCEPTED
          : { status: 200, body: { status: 'ok', platform_inbound_secret: secret } }
      presence.start()
      await beats(2)
      expect(inboundSecret.current()).toBe(secret)
      expect(statSync(join(folder, '.platform_inbound_secret')).mode & 0o777).toBe(0o600)
      expect(registry.beats[0]?.body['inbound_secret_id']).toBeUndefined()
      expect(registry.beats[1]?.body['inbound_secret_id']).toBe(credentialId(secret))
    })

    it('lets go of the former secret a minute after a beat has proved the new one', async () => {
      const [former, secret] = [mintSecret(), mintSecret()]
      inboundSecret.save(former)
      registry.onHeartbeat = ({ body }) =>
        body['inbound_secret_id'] === credentialId(secret)
          ? BEAT_ACCEPTED
          : { status: 200, body: { status: 'ok', platform_inbound_secret: secret } }
      presence.start()
      await beats(3)
      expect(inboundSecret.accepted()).toEqual([secret, former])
      secretsAheadMs = 61_000
      expect(inboundSecret.accepted()).toEqual([secret])
    })

    it('notices that the secret file was replaced by somebody else', async () => {
      presence.start()
      await beats(1)
      const secret = mintSecret()
      new CredentialFile(join(folder, '.platform_inbound_secret'), {
        clock: systemClock,
        ids: systemIds,
      }).save(secret)
      await eventually(
        () => registry.beats.at(-1)?.body['inbound_secret_id'] === credentialId(secret),
      )
    })
  })

  describe('stopping', () => {
    it('does not wait for a platform that does not answer', async () => {
      registry.onRegister = () => undefined
      presence.start()
      await eventually(() => registry.registrations.length === 1)
      const startedAt = Date.now()
      await Promise.all([presence.stop(), presence.stop()])
      // An answer is waited for ten seconds.
      expect(Date.now() - startedAt).toBeLessThan(5_000)
    })

    it('ends in the middle of a wait', async () => {
      presence.start()
      await registered()
      await presence.stop()
      const before = registry.beats.length
      presence.nudge()
      await systemClock.sleep(100)
      expect(registry.beats).toHaveLength(before)
    })
  })
})
