/** @module A local A2A endpoint as the agent: each message goes to it as `message/send`. */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { Reply } from '../a2a/reply.ts'
import { CliFailure, EXIT } from '../failure.ts'
import { PlatformClient } from '../http/platform-client.ts'
import { isNobodyThere } from '../http/transport-failure.ts'
import type { InboundMessage } from './inbound-message.ts'
import {
  AgentBrokeOff,
  failureAnswer,
  fittingText,
  type LocalAgent,
  type LocalAnswer,
} from './local-agent.ts'

/** An agent thinks for as long as it likes; only silence of this length is one too many. */
const IDLE_TIMEOUT_MS = 3_600_000
const TASK_POLL_MS = 1_000

const rpcAnswer = z.looseObject({
  result: z.unknown().optional(),
  error: z.looseObject({ message: z.string().default('') }).nullish(),
})

export class ForwardAgent implements LocalAgent {
  readonly #url: URL
  readonly #gone = new AbortController()
  readonly #client: PlatformClient

  constructor(url: URL) {
    this.#url = url
    this.#client = new PlatformClient({
      baseUrl: url,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      signal: this.#gone.signal,
    })
  }

  async answer(message: InboundMessage): Promise<LocalAnswer> {
    const reply = new Reply()
    let failure = await this.#call(reply, message.rowId, {
      method: 'message/send',
      params: { message: message.raw, configuration: { blocking: true } },
    })
    while (failure === undefined && !reply.isSettled && reply.taskId !== undefined) {
      await delay(TASK_POLL_MS, undefined, { signal: this.#gone.signal })
      const params = { id: reply.taskId }
      failure = await this.#call(reply, message.rowId, { method: 'tasks/get', params })
    }
    if (failure !== undefined) return failureAnswer(failure)
    const text = reply.text === '' && reply.files.length === 0 ? NOTHING : reply.text
    return { text: fittingText(text), files: reply.files }
  }

  killAll(): void {
    this.#gone.abort()
  }

  async close(): Promise<void> {
    this.#gone.abort()
    await this.#client.close()
  }

  /** Takes what the agent says into `reply`; resolves with what it said instead, if it refused. */
  async #call(
    reply: Reply,
    id: string,
    call: { readonly method: string; readonly params: object },
  ): Promise<string | undefined> {
    const body = await this.#send({ jsonrpc: '2.0', id, ...call })
    const parsed = rpcAnswer.safeParse(body)
    if (!parsed.success) return 'the local agent answered with something that is not JSON-RPC'
    const { error, result } = parsed.data
    if (error !== undefined && error !== null) return error.message || 'the local agent refused'
    const isUnderstood = reply.take(result) !== undefined
    return isUnderstood ? undefined : 'the local agent answered in a form that is not A2A 0.3'
  }

  /** Throws, for another attempt, only when the agent is not there or asks for patience. */
  async #send(json: object): Promise<unknown> {
    try {
      return await this.#client.json({ method: 'POST', segments: [], json })
    } catch (thrown) {
      if (!(thrown instanceof CliFailure)) throw thrown
      const { status } = thrown.facts
      const what =
        status === undefined
          ? `the local agent at ${this.#url.origin} does not answer`
          : `the local agent answered with status ${status}: ${thrown.message}`
      if (thrown.exitCode === EXIT.unreachable) {
        const isBroken = status === undefined && !isNobodyThere(thrown)
        const Failure = isBroken ? AgentBrokeOff : CliFailure
        throw new Failure(EXIT.unreachable, what, { ...thrown.facts, cause: thrown })
      }
      return { error: { message: what } }
    }
  }
}

const NOTHING = '(no response generated)'
