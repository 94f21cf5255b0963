/** @module Being there: the registration, and a beat every half a minute (contract/runtime 7). */
import { credentialId } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import {
  HEARTBEAT_INTERVAL_MS,
  heartbeatResponse,
  registerResponse,
} from '@atrium/runtime-contract/registration'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformLink } from './platform-link.ts'

const BEAT_TIMEOUT_MS = 10_000

export type PresenceOptions = {
  readonly link: PlatformLink
  readonly clock: Clock
  readonly workspaceId: string
  readonly card: unknown
  readonly activeTasks: () => number
}

export class Presence {
  readonly #options: PresenceOptions
  readonly #startedMs: number
  /** Which inbound secret we were given: nobody calls this machine, so the secret itself is not kept. */
  #inboundSecretId: string | undefined

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#startedMs = options.clock.now().getTime()
  }

  /** Registers without a mode, which makes an external workspace fetch its messages. */
  async register(signal: AbortSignal): Promise<void> {
    const { link, workspaceId, card } = this.#options
    const json = { id: workspaceId, agent_card: card }
    const answer = registerResponse.safeParse(
      await link.json({ method: 'POST', segments: ['registry', 'register'], json }, { signal }),
    )
    if (!answer.success) {
      throw new CliFailure(EXIT.failed, 'the platform answered with something unexpected')
    }
    const { delivery_mode: mode = 'poll', platform_inbound_secret: secret } = answer.data
    if (mode !== 'poll') {
      throw new CliFailure(EXIT.failed, 'this workspace is called by the platform (push)', {
        hint: 'connect answers for workspaces that were created with external: true',
      })
    }
    this.#remember(secret)
  }

  /** Beats until `signal` ends it. Throws when the token is not accepted any more. */
  async keepUp(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      await clock.sleep(HEARTBEAT_INTERVAL_MS, signal).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown
      })
      if (!signal.aborted) await this.#beat(signal)
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { link, clock, workspaceId, activeTasks } = this.#options
    const active = activeTasks()
    const json = {
      workspace_id: workspaceId,
      active_tasks: active,
      current_task: active === 0 ? '' : 'answering',
      uptime_seconds: Math.round((clock.now().getTime() - this.#startedMs) / 1000),
      ...(this.#inboundSecretId === undefined ? {} : { inbound_secret_id: this.#inboundSecretId }),
    }
    const segments = ['registry', 'heartbeat']
    const request = { method: 'POST', segments, json, headersTimeoutMs: BEAT_TIMEOUT_MS } as const
    try {
      const answer = heartbeatResponse.safeParse(
        await link.json(request, { signal, isRequestCutShort: true }),
      )
      if (answer.success) this.#remember(answer.data.platform_inbound_secret)
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    }
  }

  #remember(secret: string | undefined): void {
    if (secret !== undefined) this.#inboundSecretId = credentialId(secret)
  }
}
