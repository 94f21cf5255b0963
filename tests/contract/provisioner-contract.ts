/**
 * @module What every back-end that can start a workspace promises (H40). A back-end's test calls
 * `provisionerContract` with what it has a place for and a way to make one; the runtime in the box
 * is `fake-runtime`.
 */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { AppError } from '../../packages/http-kit/src/app-error.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { eventually } from '../support/eventually.ts'
import {
  answers,
  type BackEndTraits,
  type Bench,
  never,
  type ProvisionerHarness,
  print,
  provideBench,
  startInput,
  stateOf,
} from './provisioner-bench.ts'
import { promiseFiles } from './provisioner-contract-files.ts'
import { promiseFailedStarts } from './provisioner-contract-starts.ts'

/** Runs the suite. `make` gives an open provisioner with nothing in it. */
export function provisionerContract(
  name: string,
  traits: BackEndTraits,
  make: () => Promise<ProvisionerHarness>,
): void {
  describe(`provisioner contract: ${name}`, () => {
    const bench = provideBench(traits, make)
    describe('start', () => {
      promiseStarts(bench)
      if (traits.knowsGenerations) promiseGenerations(bench)
      promiseFailedStarts(bench)
    })
    describe('stop', () => promiseStops(bench))
    if (traits.exitReasons !== undefined) {
      describe('unexpected end', () => promiseExits(bench, traits.exitReasons))
    }
    promiseFiles(bench)
    describe('readConsole', () => promiseConsole(bench))
    describe('a platform that ends', () => promiseClose(bench))
    promiseRefusedIds(bench)
  })
}

function promiseStarts(bench: Bench): void {
  it('resolves when the server in the box answers, and tells its isolation', async () => {
    const input = startInput()
    const { box, url, result } = await bench.boot(input)
    expect(await answers(url)).toBe(true)
    expect(await bench.provisioner.isRunning(box)).toBe(true)
    expect(result.isolation).toBe(bench.traits.isolation)
  })

  it('tells where the runtime is, or on which host it is to be believed', async () => {
    const { result } = await bench.boot(startInput())
    expect(result.endpointUrl ?? result.address).not.toBeNull()
  })

  it("gives the box its environment and the workspace's own secrets, but no credential that has a file", async () => {
    const input = startInput()
    const { url } = await bench.boot(input)
    const { env } = await stateOf(url)
    expect(env).toMatchObject({
      WORKSPACE_ID: input.workspaceId,
      TIER: '2',
      PROVIDER_KEY: 'sk-provider-value',
    })
    const credentials = /auth-token-value|inbound-secret-value/
    if (bench.traits.hasVolumes) expect(JSON.stringify(env)).not.toMatch(credentials)
    // Without a place for files this is the only way in; the real runtime takes them out at once.
    else expect(env).toMatchObject({ ATRIUM_AUTH_TOKEN: expect.stringMatching(credentials) })
  })

  it('is refused while the workspace runs, and leaves the running box alone', async () => {
    const input = startInput()
    const { url } = await bench.boot(input)
    await expect(bench.provisioner.start(input, never())).rejects.toThrow('started already')
    expect(await answers(url)).toBe(true)
  })

  it('lets exactly one of two simultaneous starts win', async () => {
    const input = startInput()
    const results = await Promise.allSettled([bench.boot(input), bench.boot(input)])
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    const [won] = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.box] : [],
    )
    expect(await bench.provisioner.isRunning(won ?? input)).toBe(true)
  })

  it('runs workspaces side by side', async () => {
    const [first, second] = await Promise.all([bench.boot(startInput()), bench.boot(startInput())])
    expect(first.url).not.toBe(second.url)
    await bench.provisioner.stop(first.box)
    expect(await bench.provisioner.isRunning(second.box)).toBe(true)
  })

  it('starts nothing when it is aborted from the beginning', async () => {
    const input = startInput()
    await expect(
      bench.provisioner.start(input, AbortSignal.abort(new Error('too late'))),
    ).rejects.toThrow('too late')
    expect(await bench.provisioner.isRunning(input)).toBe(false)
  })
}

function promiseGenerations(bench: Bench): void {
  it('replaces a box of an older generation, which nobody calls unexpected', async () => {
    const first = startInput({ generation: 4 })
    const old = await bench.boot(first)
    const second = startInput({ workspaceId: first.workspaceId, generation: 5 })
    const { box, url } = await bench.boot(second)
    expect((await stateOf(url)).env['GENERATION']).toBe('5')
    expect(await bench.provisioner.isRunning(box)).toBe(true)
    if (old.url !== url) expect(await answers(old.url)).toBe(false)
    expect(bench.exits).toEqual([])
  })

  it('is refused while a box of a newer generation runs, and leaves that one alone', async () => {
    const newer = startInput({ generation: 5 })
    const { box, url } = await bench.boot(newer)
    const older = startInput({ workspaceId: newer.workspaceId, generation: 4 })
    await expect(bench.provisioner.start(older, never())).rejects.toThrow('started already')
    expect((await stateOf(url)).env['GENERATION']).toBe('5')
    expect(await bench.provisioner.isRunning(box)).toBe(true)
  })

  it('leaves the newest running when several come at once over an old one', async () => {
    const old = startInput({ generation: 1 })
    await bench.boot(old)
    const later = [2, 3].map((generation) =>
      startInput({ workspaceId: old.workspaceId, generation }),
    )
    const results = await Promise.allSettled(later.map((input) => bench.boot(input)))
    expect(results[1]?.status).toBe('fulfilled')
    const [newest] = results
      .slice(1)
      .flatMap((result) => (result.status === 'fulfilled' ? [result.value.url] : []))
    expect((await stateOf(newest ?? null)).env['GENERATION']).toBe('3')
  })
}

function promiseStops(bench: Bench): void {
  it('of an older generation leaves the newer box alone', async () => {
    const newer = startInput({ generation: 5 })
    const { box } = await bench.boot(newer)
    // One that names its boxes itself goes by that name: the older one's is not this one's.
    const instanceId = box.instanceId == null ? null : 'i-0000'
    await bench.provisioner.stop({ workspaceId: newer.workspaceId, instanceId, generation: 4 })
    expect(await bench.provisioner.isRunning(box)).toBe(true)
  })

  it('ends the box and may be repeated', async () => {
    const { box, url } = await bench.boot(startInput())
    await bench.provisioner.stop(box)
    expect(await answers(url)).toBe(false)
    expect(await bench.provisioner.isRunning(box)).toBe(false)
    await bench.provisioner.stop(box)
    expect(bench.exits).toEqual([])
  })

  it('succeeds for a workspace nobody knows', async () => {
    await bench.provisioner.stop({ workspaceId: randomUUID() })
  })

  it('may be asked for by two at once', async () => {
    const { box } = await bench.boot(startInput())
    await Promise.all([bench.provisioner.stop(box), bench.provisioner.stop(box)])
    expect(await bench.provisioner.isRunning(box)).toBe(false)
  })

  it('kills a runtime that does not listen', async () => {
    const { box, url } = await bench.boot(startInput({ traits: 'stubborn' }))
    await bench.provisioner.stop(box)
    expect(await answers(url)).toBe(false)
  })

  it('can be followed at once by a start', async () => {
    const input = startInput()
    const { box } = await bench.boot(input)
    const stopped = bench.provisioner.stop(box)
    // The stop has taken hold when the box no longer counts as running.
    await eventually(async () => !(await bench.provisioner.isRunning(box)))
    const { url } = await bench.boot({ ...input, generation: 2 })
    await stopped
    expect(await answers(url)).toBe(true)
  })
}

function promiseExits(bench: Bench, reasons: BackEndTraits['exitReasons']): void {
  it('is reported with generation and reason, once nothing is left', async () => {
    const input = startInput({ generation: 7 })
    const { box } = await bench.boot(input)
    await bench.harness.kill(input.workspaceId)
    await eventually(() => bench.exits.length > 0)
    expect(bench.exits).toEqual([
      { workspaceId: input.workspaceId, generation: 7, reason: reasons?.killed },
    ])
    expect(await bench.provisioner.isRunning(box)).toBe(false)
  })

  it('tells an exit code', async () => {
    const { url } = await bench.boot(startInput())
    await fetch(`${url}/exit?code=4`).catch(() => undefined)
    const exit = await eventually(() => bench.exits[0])
    expect(exit.reason).toBe(reasons?.exitedWith4)
  })

  it('leaves the workspace ready to be started again', async () => {
    const input = startInput()
    await bench.boot(input)
    await bench.harness.kill(input.workspaceId)
    await eventually(() => bench.exits.length > 0)
    const { url } = await bench.boot({ ...input, generation: 2 })
    expect(await answers(url)).toBe(true)
  })
}

function promiseConsole(bench: Bench): void {
  it('returns what the runtime wrote to either stream, as far as it is kept also after its end', async () => {
    const { box, url } = await bench.boot(startInput())
    await print(url, { text: 'to stdout\n' })
    await print(url, { text: 'to stderr\n', stderr: '1' })
    const isThere = async (): Promise<boolean> => {
      const text = await bench.provisioner.readConsole(box, 65_536)
      return text.includes('to stdout\n') && text.includes('to stderr\n')
    }
    await eventually(isThere)
    if (!bench.traits.keepsConsole) return
    await bench.provisioner.stop(box)
    expect(await isThere()).toBe(true)
  })

  it('returns at most the last bytes and cuts no character in two', async () => {
    const { box, url } = await bench.boot(startInput())
    await print(url, { text: '語', times: '100' })
    // Some back-ends hold a line back until it ends.
    await print(url, { text: '\n' })
    await eventually(async () => (await bench.provisioner.readConsole(box, 12)) === '語語語\n')
  })

  it('contains nothing that a terminal would obey', async () => {
    const { box, url } = await bench.boot(startInput())
    await print(url, { text: '\u001b[2Jgone\u001b]0;title\u0007 \u009b1m\u0000x\r\ny\n' })
    const text = await eventually(async () => {
      const printed = await bench.provisioner.readConsole(box, 4096)
      return printed.includes('x\ny\n') ? printed : undefined
    })
    expect(text).toContain('gone')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point.
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  })

  it('is empty for a workspace nobody knows', async () => {
    expect(await bench.provisioner.readConsole({ workspaceId: randomUUID() }, 4096)).toBe('')
  })
}

function promiseClose(bench: Bench): void {
  it('stops the boxes of its host, and leaves shared ones to the other replicas', async () => {
    const { provisioner } = bench
    const { url } = await bench.boot(startInput())
    const isHostBound = provisioner.hostId !== null
    await Promise.all([provisioner.close(), provisioner.close()])
    expect(await answers(url)).toBe(!isHostBound)
    expect(bench.exits).toEqual([])
    await provisioner.close()
    await expect(provisioner.start(startInput(), never())).rejects.toThrow(AppError)
  })

  it('has the same host when it comes back', async () => {
    const { hostId } = bench.provisioner
    await bench.provisioner.close()
    const next = await bench.harness.reopen()
    expect(next.hostId).toBe(hostId)
    expect(hostId).not.toBe('')
  })

  it('finds its shared boxes running when it comes back, and can end them', async () => {
    const { box, url } = await bench.boot(startInput())
    await bench.provisioner.close()
    const next = await bench.harness.reopen()
    expect(await next.isRunning(box)).toBe(next.hostId === null)
    await next.stop(box)
    expect(await answers(url)).toBe(false)
    expect(await next.isRunning(box)).toBe(false)
  })
}

function promiseRefusedIds(bench: Bench): void {
  it.each(['../../etc', 'x', '', '11111111-1111-4111-8111-11111111111A', '..'])(
    'refuses %j, which is no canonical workspace id, everywhere',
    async (workspaceId) => {
      const { provisioner } = bench
      const calls = [
        () => provisioner.start({ ...startInput(), workspaceId }, never()),
        () => provisioner.stop({ workspaceId }),
        () => provisioner.removeVolume({ workspaceId }),
        () => provisioner.readConsole({ workspaceId }, 1),
        () => provisioner.execRead({ workspaceId }, '/configs/config.yaml', 1),
        () => provisioner.volumeHasFile({ workspaceId }, 'config.yaml'),
        () => provisioner.writeAuthToken({ workspaceId }, new Secret('x')),
        () => provisioner.writeInboundSecret({ workspaceId }, new Secret('x')),
      ]
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({ code: 'invalid_workspace_id' })
      }
    },
  )
}
