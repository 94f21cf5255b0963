/** @module The signs of life (contract/runtime 7.2, 22 #10 and #11): one code path builds every beat. */
import { credentialId } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import {
  HEARTBEAT_INTERVAL_MS,
  type HeartbeatRequest,
  heartbeatResponse,
  type UploadSweepReport,
} from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import { describeCallFailure, type PlatformAnswer, type PlatformClient } from './platform-client.ts'
import type { CredentialStore } from './register-with-platform.ts'

const HEARTBEAT_PATH = '/registry/heartbeat'

/** What the agent did since the last beat that the platform accepted. */
export type WorkReport = {
  readonly requests: number
  readonly errors: number
  readonly sampleError: string
  readonly activeTasks: number
  readonly currentTask: string
}

export type WorkSource = {
  report(): WorkReport
  /** Counters up to this report have arrived and are not told again. */
  markReported(report: WorkReport): void
}

export type HeartbeatDeps = {
  readonly client: PlatformClient
  readonly clock: Clock
  readonly log: Logger
  readonly workspaceId: string
  readonly generation?: number | undefined
  readonly inboundSecret: CredentialStore & { retireFormer(): void }
  readonly work: WorkSource
  readonly uploadSweep: { report(): UploadSweepReport | undefined }
}

/** `stranger`: the platform does not know this workspace or its token any more. */
export type BeatResult = 'accepted' | 'failed' | 'stranger'

/** Builds and sends beats; the rhythm is `presence.ts`'s. */
export class HeartbeatJob {
  readonly name = 'heartbeat'
  readonly everyMs = HEARTBEAT_INTERVAL_MS
  readonly #deps: HeartbeatDeps
  readonly #startedAtMs: number
  #failures = 0

  constructor(deps: HeartbeatDeps) {
    this.#deps = deps
    this.#startedAtMs = deps.clock.now().getTime()
  }

  /** Sends one beat and takes a new inbound secret from the answer. Rejects only when aborted. */
  async run(signal: AbortSignal): Promise<BeatResult> {
    const report = this.#deps.work.report()
    const beat = this.#beat(report)
    let answer: PlatformAnswer
    try {
      answer = await this.#deps.client.post(HEARTBEAT_PATH, beat, signal)
    } catch (error) {
      signal.throwIfAborted()
      return this.#failed({ reason: describeCallFailure(error) })
    }
    const { status } = answer
    if (status === 401 || status === 404) {
      this.#deps.log.warn({ status }, 'heartbeat.stranger')
      return 'stranger'
    }
    const parsed = heartbeatResponse.safeParse(answer.body)
    if (status < 200 || status > 299 || !parsed.success) return this.#failed({ status })
    this.#failures = 0
    this.#deps.work.markReported(report)
    this.#keepSecret(beat, parsed.data.platform_inbound_secret)
    return 'accepted'
  }

  #beat(report: WorkReport): HeartbeatRequest {
    const { generation, inboundSecret, uploadSweep } = this.#deps
    const swept = uploadSweep.report()
    const secret = inboundSecret.current()
    const uptimeMs = this.#deps.clock.now().getTime() - this.#startedAtMs
    return {
      workspace_id: this.#deps.workspaceId,
      error_rate: report.requests === 0 ? 0 : Math.min(report.errors / report.requests, 1),
      sample_error: report.sampleError,
      active_tasks: report.activeTasks,
      current_task: report.currentTask,
      uptime_seconds: Math.max(0, Math.floor(uptimeMs / 1000)),
      ...(secret === undefined ? {} : { inbound_secret_id: credentialId(secret) }),
      ...(generation === undefined ? {} : { generation }),
      ...(swept === undefined ? {} : { runtime_metadata: { upload_sweep: swept } }),
    }
  }

  #keepSecret(beat: HeartbeatRequest, offered: string | undefined): void {
    const { inboundSecret } = this.#deps
    if (offered === undefined) {
      // The platform offers it until a beat has proved that it is here (contract/platform 13.5).
      if (beat.inbound_secret_id !== undefined) inboundSecret.retireFormer()
      return
    }
    try {
      inboundSecret.save(offered)
      this.#deps.log.info('heartbeat.inbound_secret_received')
    } catch (error) {
      // The next beat says which secret is held, so the platform offers the new one again.
      this.#deps.log.error(
        { reason: describeCallFailure(error) },
        'heartbeat.inbound_secret_not_kept',
      )
    }
  }

  /** Contract/runtime 7.2: told for the first three in a row and every tenth. */
  #failed(facts: { readonly status?: number; readonly reason?: string }): BeatResult {
    this.#failures += 1
    if (this.#failures <= 3 || this.#failures % 10 === 0) {
      this.#deps.log.warn({ ...facts, failures_in_a_row: this.#failures }, 'heartbeat.failed')
    }
    return 'failed'
  }
}
