/**
 * @module `X-Timeout`: how many seconds a sender waits. What it has sent goes on without it, and is
 * answered when it is sent again under its key (contract/platform 4.1, wart W21).
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { discardAnswer } from '../../upstream/agent-client.ts'
import type { TaskTracker } from '../task-tracker.ts'
import type { GatewayAnswer, GatewayCall } from './gateway-call.ts'

const MAX_SECONDS = 24 * 60 * 60

export type CallerPatienceDeps = { readonly clock: Clock; readonly tracker: TaskTracker }

/**
 * `send` is told when the caller waits no longer: it is gone then as much as one who has hung up.
 * Throws `workspace_timeout` with the id under which the sender may ask.
 */
export async function whileCallerWaits(
  deps: CallerPatienceDeps,
  sent: { readonly call: Pick<GatewayCall, 'headers' | 'signal'>; readonly queueId: string },
  send: (signal: AbortSignal) => Promise<GatewayAnswer>,
): Promise<GatewayAnswer> {
  const { headers, signal } = sent.call
  const seconds = secondsIn(headers('x-timeout'))
  if (seconds === undefined) return await send(signal)
  const left = new AbortController()
  const answer = send(AbortSignal.any([signal, left.signal]))
  const answered = new AbortController()
  const patience = deps.clock
    .sleep(seconds * 1_000, answered.signal)
    .then((): 'over' => 'over')
    // Woken by the answer, which has won already.
    .catch((): 'over' => 'over')
  const first = await Promise.race([answer, patience]).finally(() => answered.abort())
  if (first !== 'over') return first
  left.abort(new Error('the caller waits no longer'))
  deps.tracker.run(() => letGo(answer))
  throw new AppError('workspace_timeout', { extensions: { queue_id: sent.queueId } })
}

/** A positive whole number; anything else is none. */
function secondsIn(header: string | undefined): number | undefined {
  const seconds = /^\d{1,9}$/.test(header ?? '') ? Number(header) : 0
  return seconds > 0 ? Math.min(seconds, MAX_SECONDS) : undefined
}

async function letGo(answer: Promise<GatewayAnswer>): Promise<void> {
  try {
    const late = await answer
    if (late.kind === 'stream') discardAnswer(late.body)
  } catch {
    // The ledger and the activity log say how it ended.
  }
}
