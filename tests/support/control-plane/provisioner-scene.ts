/** @module The back-end of hosted installations before the control plane of the tests. */
import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { expect } from 'vitest'
import {
  type ControlPlaneProvisionerOptions,
  createControlPlaneProvisioner,
} from '../../../apps/platform/src/provisioners/control-plane/control-plane-provisioner.ts'
import type {
  Provisioner,
  StartInput,
} from '../../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock } from '../../../packages/http-kit/src/clock.ts'
import { Secret } from '../../../packages/http-kit/src/secret.ts'
import { mintSecret } from '../agent-runtime.ts'
import { type CallName, ControlPlane } from './control-plane.ts'
import type { Fault } from './faults.ts'
import { LightMachine } from './light-machine.ts'

export class ProvisionerScene {
  readonly controlPlane: ControlPlane
  /** What the back-ends of this scene have logged. */
  readonly lines: string[] = []
  readonly #log = pino({ level: 'trace' }, { write: (line) => this.lines.push(line) })

  private constructor(net: number) {
    this.controlPlane = new ControlPlane({ make: (input) => new LightMachine(input), net })
  }

  /** `net` is as with the control plane. */
  static async open(net: number): Promise<ProvisionerScene> {
    const scene = new ProvisionerScene(net)
    await scene.controlPlane.start()
    return scene
  }

  /** The caller closes it. */
  provisionerOf(options: Partial<ControlPlaneProvisionerOptions> = {}): Provisioner {
    return provisionerOf(this.controlPlane, { log: this.#log, ...options })
  }

  /** The next call of this name meets the fault, and those after it do not. */
  failOnce(name: CallName, fault: Fault): void {
    let isOver = false
    this.controlPlane.fault = (call) => {
      if (isOver || call.name !== name) return undefined
      isOver = true
      return fault
    }
  }
}

/** The back-end with the credentials of this control plane; silent unless it is given a log. */
export function provisionerOf(
  controlPlane: ControlPlane,
  options: Partial<ControlPlaneProvisionerOptions> = {},
): Provisioner {
  return createControlPlaneProvisioner({
    baseUrl: controlPlane.url,
    orgId: controlPlane.orgId,
    sharedSecret: new Secret(controlPlane.sharedSecret),
    adminToken: new Secret(controlPlane.adminToken),
    adminApiToken: new Secret(controlPlane.adminApiToken),
    timeoutMs: 10_000,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    ...options,
  })
}

/** A start with a variable that the platform's own wins over. */
export function startInput(fields: Partial<StartInput> = {}): StartInput {
  return {
    workspaceId: randomUUID(),
    generation: 3,
    runtimeKind: 'langgraph',
    tier: 2,
    configFiles: new Map(),
    env: { PLATFORM_URL: 'http://127.0.0.1:9', TIER: '2' },
    secretEnv: { PROVIDER_KEY: new Secret('sk-a-provider-key'), TIER: new Secret('4') },
    credentials: { authToken: new Secret(mintSecret()), inboundSecret: new Secret(mintSecret()) },
    ...fields,
  }
}

export async function expectRefusal(call: Promise<unknown>, code: string): Promise<void> {
  await expect(call).rejects.toMatchObject({ code })
}

/** Of a call that nobody calls off. */
export const never = (): AbortSignal => new AbortController().signal
