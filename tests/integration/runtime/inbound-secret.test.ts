import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CredentialFile } from '../../../apps/workspace-runtime/src/secrets/credential-file.ts'
import { InboundSecretStore } from '../../../apps/workspace-runtime/src/secrets/inbound-secret-store.ts'
import { mintSecret } from '../../support/agent-runtime.ts'
import { runLogPath } from '../../support/secret-ledger.ts'

const GRACE_MS = 600_000

describe('InboundSecretStore', () => {
  let folder: string
  let aheadMs: number
  let changes: number
  let first: string
  let second: string

  const clock = {
    ...systemClock,
    now: () => new Date(systemClock.now().getTime() + aheadMs),
  }
  const open = () =>
    new InboundSecretStore(folder, {
      clock,
      ids: systemIds,
      log: pino(pino.destination({ dest: runLogPath('inbound-secret'), sync: true })),
      graceMs: GRACE_MS,
      onChange: () => {
        changes += 1
      },
    })
  const replaceUnderneath = (value: string) =>
    new CredentialFile(join(folder, '.platform_inbound_secret'), {
      clock: systemClock,
      ids: systemIds,
    }).save(value)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atrium-inbound-'))
    aheadMs = 0
    changes = 0
    first = mintSecret()
    second = mintSecret()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('accepts nothing before there is a secret, and nothing former after the first', () => {
    const store = open()
    expect(store.accepted()).toEqual([])
    store.save(first)
    expect(store.accepted()).toEqual([first])
    expect(changes).toBe(0)
  })

  it.each([
    ['an answer brought another', (store: InboundSecretStore) => store.save(second)],
    ['its file was replaced', () => replaceUnderneath(second)],
  ])('accepts the former as well after %s, and tells once', (_, change) => {
    replaceUnderneath(first)
    const store = open()
    change(store)
    expect(store.accepted()).toEqual([second, first])
    expect(store.accepted()).toEqual([second, first])
    expect(store.current()).toBe(second)
    expect(changes).toBe(1)
  })

  it('holds one former at a time', () => {
    const store = open()
    for (const value of [first, second, 'third-secret-value']) store.save(value)
    expect(store.accepted()).toEqual(['third-secret-value', second])
  })

  it('accepts nothing while its file is gone, the former neither', () => {
    const store = open()
    store.save(first)
    store.save(second)
    rmSync(join(folder, '.platform_inbound_secret'))
    expect(store.accepted()).toEqual([])
  })

  describe('the former', () => {
    let store: InboundSecretStore
    const formerFile = () => join(folder, '.platform_inbound_secret.former')

    beforeEach(() => {
      store = open()
      store.save(first)
      store.save(second)
    })

    it('ends with the grace, and its file with it', () => {
      aheadMs = GRACE_MS - 1_000
      expect(store.accepted()).toEqual([second, first])
      aheadMs = GRACE_MS + 1_000
      expect(store.accepted()).toEqual([second])
      expect(readdirSync(folder)).toEqual(['.platform_inbound_secret'])
    })

    it('ends a minute after the platform has said that it is done with it', () => {
      store.retireFormer()
      expect(store.accepted()).toEqual([second, first])
      aheadMs = 40_000
      // Said with every beat; that does not put it off.
      store.retireFormer()
      aheadMs = 61_000
      expect(store.accepted()).toEqual([second])
    })

    it('is kept over a restart, for the rest of its time, 0600', () => {
      expect(statSync(formerFile()).mode & 0o777).toBe(0o600)
      aheadMs = GRACE_MS - 1_000
      expect(open().accepted()).toEqual([second, first])
      aheadMs = GRACE_MS + 1_000
      expect(open().accepted()).toEqual([second])
      expect(readdirSync(folder)).toEqual(['.platform_inbound_secret'])
    })

    it('lasts no longer because the clock was set back', () => {
      aheadMs = -1_000_000
      const later = open()
      expect(later.accepted()).toEqual([second, first])
      aheadMs += GRACE_MS + 1_000
      expect(later.accepted()).toEqual([second])
    })

    it('opens nothing beside a secret that is not its successor', () => {
      const left = readFileSync(formerFile(), 'utf8')
      expect(left).toContain(first)
      replaceUnderneath('of-a-newer-generation')
      expect(open().accepted()).toEqual(['of-a-newer-generation'])
      expect(readdirSync(folder)).toEqual(['.platform_inbound_secret'])
    })

    it.each(['not json', '{}', '{"value":1}'])('is nothing when its file says %j', (text) => {
      new CredentialFile(formerFile(), { clock: systemClock, ids: systemIds }).save(text)
      expect(open().accepted()).toEqual([second])
    })

    it('is accepted even where it cannot be written down', () => {
      rmSync(formerFile())
      mkdirSync(join(formerFile(), 'x'), { recursive: true })
      const third = mintSecret()
      store.save(third)
      expect(store.accepted()).toEqual([third, second])
    })
  })
})
