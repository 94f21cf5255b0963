/** @module What the control plane of the tests calls a machine, whatever it is made of. */

export type MachineInput = {
  readonly instanceId: string
  readonly workspaceId: string
  /** A loopback address of its own: 127/8 is all this machine's. */
  readonly address: string
  readonly env: Readonly<Record<string, string>>
}

/** As EC2 calls them. */
export type MachineState = 'pending' | 'running' | 'stopped' | 'terminated'

export interface Machine {
  readonly instanceId: string
  readonly workspaceId: string
  readonly address: string
  readonly env: Readonly<Record<string, string>>
  readonly state: MachineState
  /** Processes of it that run now; a light one has none of its own. */
  pids(): readonly number[]
  /** Its serial console so far. */
  console(): string
  /** Ends it the way a crash does. */
  kill(): Promise<void>
  /** Ends it for good, with everything on it. */
  terminate(): Promise<void>
}

export type MakeMachine = (input: MachineInput) => Machine
