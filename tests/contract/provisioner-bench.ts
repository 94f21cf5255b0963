/**
 * @module What the promises of `provisioner-contract.ts` are made of: a back-end under test, what is
 * known about it as data, and boxes that fake runtimes run in.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach } from 'vitest'
import type {
  BoxRef,
  Isolation,
  Provisioner,
  StartInput,
  StartResult,
  UnexpectedExit,
} from '../../apps/platform/src/provisioners/provisioner.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'

/** What a back-end has a place for. The suite asks for this, never for a name. */
export type BackEndTraits = {
  /**
   * The platform reaches the workspace's folders: files before the start, credentials, reads and
   * volumes. Without it, all of these answer that there is no place.
   */
  readonly hasVolumes: boolean
  /** Which generation a box is of is known to it. */
  readonly knowsGenerations: boolean
  /** `listBoxes` tells what there is; without it, the list is empty. */
  readonly listsBoxes: boolean
  /**
   * How a start fails that waits for the runtime: a way to misbehave (`FAKE_RUNTIME`) and a part of
   * the reason in the log. Empty for a back-end that resolves when the start was accepted.
   */
  readonly startFailures: readonly { readonly traits: string; readonly reason: string }[]
  /** How it tells a runtime that got SIGKILL, and one that ended with 4; undefined: it tells nothing. */
  readonly exitReasons: { readonly killed: string; readonly exitedWith4: string } | undefined
  /** What a box printed can be read after its end. */
  readonly keepsConsole: boolean
  readonly isolation: Isolation
}

export type ProvisionerHarness = {
  /** Open. Kills within 1 s what ignores SIGTERM; gives a start up after 3 s. */
  readonly provisioner: Provisioner
  /** Where the test reaches the fake runtime, which may not be where the platform does. */
  readonly endpointOf: (input: StartInput, result: StartResult) => Promise<string>
  /** A file below the workspace's `/configs`, as it lies there now; undefined when there is none. */
  readonly readConfig: (
    workspaceId: string,
    name: string,
  ) => Promise<{ readonly text: string; readonly mode: number } | undefined>
  /** Ends the runtime with SIGKILL, behind the provisioner's back. */
  readonly kill: (workspaceId: string) => Promise<void>
  /** Whether anything of the workspace is stored. */
  readonly hasVolume: (workspaceId: string) => Promise<boolean>
  /** Another provisioner over the same storage, open, as a platform that starts again makes it. */
  readonly reopen: () => Promise<Provisioner>
  /** Closes every provisioner that was made, ends every box and removes everything. */
  readonly dispose: () => Promise<void>
}

/** A back-end that keeps folders and waits until the runtime answers. */
export const FOLDER_TRAITS = {
  hasVolumes: true,
  knowsGenerations: true,
  listsBoxes: true,
  keepsConsole: true,
  startFailures: [
    { traits: 'exits', reason: 'exit code 3' },
    { traits: 'silent', reason: 'was not ready within' },
  ],
  exitReasons: { killed: 'signal SIGKILL', exitedWith4: 'exit code 4' },
} satisfies Omit<BackEndTraits, 'isolation'>

/** Provisioners that `create` makes over one storage, which `removeAll` takes away in the end. */
export async function openOver(
  create: () => Promise<Provisioner>,
  removeAll: () => Promise<void>,
): Promise<Pick<ProvisionerHarness, 'provisioner' | 'endpointOf' | 'reopen' | 'dispose'>> {
  const opened: Provisioner[] = []
  const reopen = async (): Promise<Provisioner> => {
    const provisioner = await create()
    await provisioner.open()
    opened.push(provisioner)
    return provisioner
  }
  return {
    provisioner: await reopen(),
    endpointOf: async (_, result) => result.endpointUrl ?? '',
    reopen,
    dispose: async () => {
      for (const provisioner of opened) await provisioner.close()
      await removeAll()
    },
  }
}

/** A box that was started, as a test needs it. */
export type Booted = {
  readonly box: BoxRef
  /** Of the fake runtime. */
  readonly url: string
  readonly result: StartResult
}

export type Bench = {
  readonly harness: ProvisionerHarness
  readonly provisioner: Provisioner
  readonly traits: BackEndTraits
  /** What was reported so far. */
  readonly exits: readonly UnexpectedExit[]
  /** Starts it and waits until the fake runtime answers. */
  boot(input: StartInput): Promise<Booted>
}

/** Makes a back-end for every test of the calling block. */
export function provideBench(
  traits: BackEndTraits,
  make: () => Promise<ProvisionerHarness>,
): Bench {
  let harness: ProvisionerHarness
  let exits: UnexpectedExit[]
  beforeEach(async () => {
    harness = await make()
    exits = []
    harness.provisioner.onUnexpectedExit((exit) => exits.push(exit))
  })
  afterEach(async () => harness.dispose())
  return {
    traits,
    get harness() {
      return harness
    },
    get provisioner() {
      return harness.provisioner
    },
    get exits() {
      return exits
    },
    async boot(input) {
      const result = await harness.provisioner.start(input, never())
      const url = await harness.endpointOf(input, result)
      return { box: { workspaceId: input.workspaceId, instanceId: result.instanceId }, url, result }
    },
  }
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

export async function answers(endpointUrl: string | null): Promise<boolean> {
  if (endpointUrl === null) return false
  try {
    return (await fetch(endpointUrl)).ok
  } catch {
    return false
  }
}

/** Has a runtime make something at a path of the wire. */
export async function plant(
  url: string,
  query: { readonly kind: 'file' | 'link' | 'hard-link' | 'fifo' } & Record<string, string>,
): Promise<void> {
  const response = await fetch(`${url}/plant?${new URLSearchParams(query)}`)
  if (!response.ok) throw new Error(`the fake runtime could not plant: ${await response.text()}`)
}
