/**
 * @module What every back-end that can start a workspace promises (H40). A back-end's test calls
 * `provisionerContract` with a way to make one; the runtime in the box is `fake-runtime`.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type {
  Provisioner,
  StartInput,
  UnexpectedExit,
} from '../../apps/platform/src/provisioners/provisioner.ts'
import { AppError } from '../../packages/http-kit/src/app-error.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { eventually } from '../support/eventually.ts'

export type ProvisionerHarness = {
  /** Open. Kills within 1 s what ignores SIGTERM; gives a start up after 3 s. */
  readonly provisioner: Provisioner
  /** A file below the workspace's `/configs`, as it lies there now; undefined when there is none. */
  readonly readConfig: (
    workspaceId: string,
    name: string,
  ) => Promise<{ readonly text: string; readonly mode: number } | undefined>
  /** Ends the runtime with SIGKILL, behind the provisioner's back. */
  readonly kill: (workspaceId: string) => Promise<void>
  /** Whether anything of the workspace is stored. */
  readonly hasVolume: (workspaceId: string) => Promise<boolean>
  /** Closes the provisioner and removes everything. */
  readonly dispose: () => Promise<void>
}

/** What a fake runtime says about itself. */
export type FakeState = {
  readonly pids: readonly number[]
  readonly seen: Readonly<Record<string, { readonly text: string; readonly mode: string }>>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

export type InputOptions = {
  readonly workspaceId?: string
  readonly generation?: number
  readonly traits?: string
  readonly credentials?: { readonly authToken: string; readonly inboundSecret: string }
}

export function startInput(options: InputOptions = {}): StartInput {
  const { generation = 1, credentials } = options
  return {
    workspaceId: options.workspaceId ?? randomUUID(),
    generation,
    runtimeKind: 'echo',
    tier: 2,
    configFiles: new Map([
      ['config.yaml', new TextEncoder().encode('name: fake\n')],
      ['nested/deep/note.txt', new TextEncoder().encode('hello')],
    ]),
    env: { FAKE_RUNTIME: options.traits ?? '', GENERATION: String(generation), TIER: '2' },
    secretEnv: { PROVIDER_KEY: new Secret('sk-provider-value') },
    credentials: {
      authToken: new Secret(credentials?.authToken ?? 'auth-token-value'),
      inboundSecret: new Secret(credentials?.inboundSecret ?? 'inbound-secret-value'),
    },
  }
}

export const never = (): AbortSignal => new AbortController().signal

export async function stateOf(endpointUrl: string | null): Promise<FakeState> {
  const response = await fetch(`${endpointUrl}/state`)
  // The fake runtime is ours: its shape is known.
  return (await response.json()) as FakeState
}

export async function print(
  endpointUrl: string | null,
  query: Record<string, string>,
): Promise<void> {
  await (await fetch(`${endpointUrl}/print?${new URLSearchParams(query)}`)).text()
}

async function answers(endpointUrl: string | null): Promise<boolean> {
  if (endpointUrl === null) return false
  try {
    return (await fetch(endpointUrl)).ok
  } catch {
    return false
  }
}

/** Runs the suite. `make` gives an open provisioner with nothing in it. */
export function provisionerContract(name: string, make: () => Promise<ProvisionerHarness>): void {
  describe(`provisioner contract: ${name}`, () => {
    let harness: ProvisionerHarness
    let provisioner: Provisioner
    let exits: UnexpectedExit[]

    beforeEach(async () => {
      harness = await make()
      provisioner = harness.provisioner
      exits = []
      provisioner.onUnexpectedExit((exit) => exits.push(exit))
    })
    afterEach(async () => harness.dispose())

    describe('start', () => {
      it('resolves when the server in the box answers', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        expect(await answers(endpointUrl)).toBe(true)
        expect(await provisioner.isRunning(input)).toBe(true)
      })

      it('has configuration and credentials in place before the runtime runs', async () => {
        const { endpointUrl } = await provisioner.start(startInput(), never())
        const { seen } = await stateOf(endpointUrl)
        expect(seen['.auth_token']).toEqual({ text: 'auth-token-value', mode: '600' })
        expect(seen['.platform_inbound_secret']).toEqual({
          text: 'inbound-secret-value',
          mode: '600',
        })
        expect(seen['config.yaml']?.text).toBe('name: fake\n')
        expect(seen['nested/deep/note.txt']?.text).toBe('hello')
      })

      it("gives the box its environment and the workspace's own secrets, but no credential", async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        const { env } = await stateOf(endpointUrl)
        expect(env).toMatchObject({
          WORKSPACE_ID: input.workspaceId,
          TIER: '2',
          PROVIDER_KEY: 'sk-provider-value',
        })
        expect(JSON.stringify(env)).not.toMatch(/auth-token-value|inbound-secret-value/)
      })

      it('is refused while the workspace runs, and leaves the running box alone', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        await expect(provisioner.start(input, never())).rejects.toThrow('started already')
        expect(await answers(endpointUrl)).toBe(true)
      })

      it('lets exactly one of two simultaneous starts win', async () => {
        const input = startInput()
        const results = await Promise.allSettled([
          provisioner.start(input, never()),
          provisioner.start(input, never()),
        ])
        expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
        expect(await provisioner.isRunning(input)).toBe(true)
      })

      it('runs workspaces side by side', async () => {
        const [first, second] = [startInput(), startInput()]
        const urls = await Promise.all([
          provisioner.start(first, never()),
          provisioner.start(second, never()),
        ])
        expect(new Set(urls.map((url) => url.endpointUrl)).size).toBe(2)
        await provisioner.stop(first)
        expect(await provisioner.isRunning(second)).toBe(true)
      })

      it.each([
        ['exits at once', 'exits', 'exit code 3'],
        ['says something that is not the ready message', 'garbage', 'invalid ready message'],
        ['never says that it is ready', 'silent', 'was not ready within'],
      ])('fails when the runtime %s, and leaves nothing running', async (_, traits, reason) => {
        const input = startInput({ traits })
        const failure = await provisioner.start(input, never()).catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(AppError)
        expect((failure as AppError).internal).toContain(reason)
        expect(await provisioner.isRunning(input)).toBe(false)
        expect(exits).toEqual([])
        const again = startInput({ workspaceId: input.workspaceId, generation: 2 })
        expect(await answers((await provisioner.start(again, never())).endpointUrl)).toBe(true)
      })

      it('tells the log, not the public, what a runtime said before it failed, without its secrets', async () => {
        const failure = await provisioner
          .start(startInput({ traits: 'exits' }), never())
          .catch((error: unknown) => error)
        const error = failure as AppError
        expect(error.internal).toContain('boom: [secret] was refused')
        expect(`${error.internal}${error.stack}`).not.toContain('sk-provider-value')
        expect(error.publicText).not.toContain('boom')
      })

      it('ends the box and throws the reason when it is aborted', async () => {
        const input = startInput({ traits: 'silent' })
        const abort = new AbortController()
        const started = provisioner.start(input, abort.signal)
        await eventually(() => provisioner.isRunning(input))
        abort.abort(new Error('changed my mind'))
        await expect(started).rejects.toThrow('changed my mind')
        expect(await provisioner.isRunning(input)).toBe(false)
      })

      it('starts nothing when it is aborted from the beginning', async () => {
        const input = startInput()
        await expect(
          provisioner.start(input, AbortSignal.abort(new Error('too late'))),
        ).rejects.toThrow('too late')
        expect(await provisioner.isRunning(input)).toBe(false)
      })

      it('keeps what the workspace stored and replaces the credentials of the last generation', async () => {
        const first = startInput()
        await provisioner.start(first, never())
        await provisioner.stop(first)
        const second = startInput({
          workspaceId: first.workspaceId,
          generation: 2,
          credentials: { authToken: 'second-auth', inboundSecret: 'second-inbound' },
        })
        const { endpointUrl } = await provisioner.start(second, never())
        const { seen } = await stateOf(endpointUrl)
        expect(seen['.auth_token']?.text).toBe('second-auth')
        expect(seen['.platform_inbound_secret']?.text).toBe('second-inbound')
        expect(await provisioner.readConsole(first, 4096)).toContain('generation 1')
      })

      it.each(['../escape', '/etc/passwd', 'a/../../b', '', '.auth_token', '.AUTH_TOKEN.bak'])(
        'refuses the configuration file %j',
        async (path) => {
          const input = startInput()
          const configFiles = new Map([[path, new Uint8Array([1])]])
          await expect(provisioner.start({ ...input, configFiles }, never())).rejects.toThrow(
            AppError,
          )
          expect(await provisioner.isRunning(input)).toBe(false)
        },
      )
    })

    describe('stop', () => {
      it('ends the box and may be repeated', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        await provisioner.stop(input)
        expect(await answers(endpointUrl)).toBe(false)
        expect(await provisioner.isRunning(input)).toBe(false)
        await provisioner.stop(input)
        expect(exits).toEqual([])
      })

      it('succeeds for a workspace nobody knows', async () => {
        await provisioner.stop({ workspaceId: randomUUID() })
      })

      it('may be asked for by two at once', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        await Promise.all([provisioner.stop(input), provisioner.stop(input)])
        expect(await provisioner.isRunning(input)).toBe(false)
      })

      it('cancels a start in progress', async () => {
        const input = startInput({ traits: 'silent' })
        const started = provisioner.start(input, never())
        const refused = expect(started).rejects.toThrow('stopped while it started')
        await eventually(() => provisioner.isRunning(input))
        await provisioner.stop(input)
        await refused
        expect(await provisioner.isRunning(input)).toBe(false)
      })

      it('kills a runtime that does not listen', async () => {
        const input = startInput({ traits: 'stubborn' })
        const { endpointUrl } = await provisioner.start(input, never())
        await provisioner.stop(input)
        expect(await answers(endpointUrl)).toBe(false)
      })

      it('can be followed at once by a start', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        const stopped = provisioner.stop(input)
        // The stop has taken hold when the box no longer counts as running.
        await eventually(async () => !(await provisioner.isRunning(input)))
        const { endpointUrl } = await provisioner.start({ ...input, generation: 2 }, never())
        await stopped
        expect(await answers(endpointUrl)).toBe(true)
      })
    })

    describe('unexpected end', () => {
      it('is reported with generation and reason, once nothing is left', async () => {
        const input = startInput({ generation: 7 })
        await provisioner.start(input, never())
        await harness.kill(input.workspaceId)
        await eventually(() => exits.length > 0)
        expect(exits).toEqual([
          { workspaceId: input.workspaceId, generation: 7, reason: 'signal SIGKILL' },
        ])
        expect(await provisioner.isRunning(input)).toBe(false)
      })

      it('tells an exit code', async () => {
        const { endpointUrl } = await provisioner.start(startInput(), never())
        await fetch(`${endpointUrl}/exit?code=4`).catch(() => undefined)
        const exit = await eventually(() => exits[0])
        expect(exit.reason).toBe('exit code 4')
      })

      it('leaves the workspace ready to be started again', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        await harness.kill(input.workspaceId)
        await eventually(() => exits.length > 0)
        const { endpointUrl } = await provisioner.start({ ...input, generation: 2 }, never())
        expect(await answers(endpointUrl)).toBe(true)
      })
    })

    describe('removeVolume', () => {
      it('removes what the workspace stored and may be repeated', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        await provisioner.stop(input)
        expect(await harness.hasVolume(input.workspaceId)).toBe(true)
        await provisioner.removeVolume(input)
        expect(await harness.hasVolume(input.workspaceId)).toBe(false)
        await provisioner.removeVolume(input)
      })

      it('is refused while the workspace runs', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        await expect(provisioner.removeVolume(input)).rejects.toThrow('not stopped')
        expect(await harness.hasVolume(input.workspaceId)).toBe(true)
      })
    })

    describe('writeInboundSecret', () => {
      it('replaces the secret in a running and in a stopped box', async () => {
        const input = startInput()
        await provisioner.start(input, never())
        const { workspaceId } = input
        expect(await provisioner.writeInboundSecret({ workspaceId }, new Secret('rotated'))).toBe(
          true,
        )
        const file = await harness.readConfig(workspaceId, '.platform_inbound_secret')
        expect(file).toEqual({ text: 'rotated', mode: 0o600 })
        await provisioner.stop({ workspaceId })
        expect(await provisioner.writeInboundSecret({ workspaceId }, new Secret('later'))).toBe(
          true,
        )
        const later = await harness.readConfig(workspaceId, '.platform_inbound_secret')
        expect(later?.text).toBe('later')
      })

      it('says false where there is no box', async () => {
        expect(
          await provisioner.writeInboundSecret({ workspaceId: randomUUID() }, new Secret('x')),
        ).toBe(false)
      })
    })

    describe('readConsole', () => {
      it('returns what the runtime wrote to either stream, also after its end', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        await print(endpointUrl, { text: 'to stdout\n' })
        await print(endpointUrl, { text: 'to stderr\n', stderr: '1' })
        await provisioner.stop(input)
        const text = await provisioner.readConsole(input, 65_536)
        expect(text).toContain('to stdout\n')
        expect(text).toContain('to stderr\n')
      })

      it('returns at most the last bytes and cuts no character in two', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        await print(endpointUrl, { text: '語', times: '100' })
        await provisioner.stop(input)
        expect(await provisioner.readConsole(input, 10)).toBe('語語語')
      })

      it('contains nothing that a terminal would obey', async () => {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        await print(endpointUrl, {
          text: '\u001b[2Jgone\u001b]0;title\u0007 \u009b1m\u0000x\r\ny\n',
        })
        await provisioner.stop(input)
        const text = await provisioner.readConsole(input, 4096)
        expect(text).toContain('gone')
        expect(text).toContain('x\ny\n')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point.
        expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
      })

      it('is empty for a workspace nobody knows', async () => {
        expect(await provisioner.readConsole({ workspaceId: randomUUID() }, 4096)).toBe('')
      })
    })

    describe('close', () => {
      it('stops every box, also one that is starting, and may be repeated', async () => {
        const running = startInput()
        const starting = startInput({ traits: 'silent' })
        const { endpointUrl } = await provisioner.start(running, never())
        const started = expect(provisioner.start(starting, never())).rejects.toThrow()
        await Promise.all([provisioner.close(), provisioner.close()])
        await started
        expect(await answers(endpointUrl)).toBe(false)
        expect(await provisioner.isRunning(starting)).toBe(false)
        expect(exits).toEqual([])
        await provisioner.close()
        await expect(provisioner.start(startInput(), never())).rejects.toThrow(AppError)
      })
    })

    it.each(['../../etc', 'x', '', '11111111-1111-4111-8111-11111111111A', '..'])(
      'refuses %j, which is no canonical workspace id, everywhere',
      async (workspaceId) => {
        const calls = [
          () => provisioner.start({ ...startInput(), workspaceId }, never()),
          () => provisioner.stop({ workspaceId }),
          () => provisioner.removeVolume({ workspaceId }),
          () => provisioner.readConsole({ workspaceId }, 1),
          () => provisioner.writeInboundSecret({ workspaceId }, new Secret('x')),
        ]
        for (const call of calls) {
          await expect(call()).rejects.toMatchObject({ code: 'invalid_workspace_id' })
        }
      },
    )
  })
}
