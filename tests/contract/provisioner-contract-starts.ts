/** @module What a start promises that does not succeed (part of `provisioner-contract.ts`). */
import { describe, expect, it } from 'vitest'
import { AppError } from '../../packages/http-kit/src/app-error.ts'
import { eventually } from '../support/eventually.ts'
import { answers, type Bench, never, startInput } from './provisioner-bench.ts'

/** Of back-ends that wait for the runtime; the others cannot know. */
export function promiseFailedStarts(bench: Bench): void {
  const { startFailures } = bench.traits
  if (startFailures.length === 0) return

  it.each(startFailures)(
    'fails when the runtime misbehaves ($traits), and leaves nothing running',
    async ({ traits, reason }) => {
      const { provisioner } = bench
      const input = startInput({ traits })
      const failure = await provisioner.start(input, never()).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(AppError)
      expect((failure as AppError).internal).toContain(reason)
      expect(await provisioner.isRunning(input)).toBe(false)
      expect(bench.exits).toEqual([])
      const again = startInput({ workspaceId: input.workspaceId, generation: 2 })
      expect(await answers((await bench.boot(again)).url)).toBe(true)
    },
  )

  it('tells the log, not the public, what a runtime said before it failed, without its secrets', async () => {
    const failure = await bench.provisioner
      .start(startInput({ traits: 'exits' }), never())
      .catch((error: unknown) => error)
    const error = failure as AppError
    expect(error.internal).toContain('boom: [secret] was refused')
    expect(`${error.internal}${error.stack}`).not.toContain('sk-provider-value')
    expect(error.publicText).not.toContain('boom')
  })

  it('ends the box and throws the reason when it is aborted', async () => {
    const { provisioner } = bench
    const input = startInput({ traits: 'silent' })
    const abort = new AbortController()
    const started = provisioner.start(input, abort.signal)
    const refused = expect(started).rejects.toThrow('changed my mind')
    await eventually(() => provisioner.isRunning(input))
    abort.abort(new Error('changed my mind'))
    await refused
    expect(await provisioner.isRunning(input)).toBe(false)
  })

  describe('in progress', () => {
    it('is cancelled by a stop', async () => {
      const { provisioner } = bench
      const input = startInput({ traits: 'silent' })
      const started = provisioner.start(input, never())
      const refused = expect(started).rejects.toThrow('stopped while it started')
      await eventually(() => provisioner.isRunning(input))
      await provisioner.stop(input)
      await refused
      expect(await provisioner.isRunning(input)).toBe(false)
    })

    it('ends with the platform', async () => {
      const { provisioner } = bench
      const input = startInput({ traits: 'silent' })
      const started = expect(provisioner.start(input, never())).rejects.toThrow()
      await provisioner.close()
      await started
      const next = await bench.harness.reopen()
      expect(await next.isRunning(input)).toBe(false)
    })
  })
}
