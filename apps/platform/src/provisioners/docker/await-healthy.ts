/** @module Waits until the server in a started container answers. */
import { get, type IncomingMessage } from 'node:http'
import type { Clock } from '@atrium/http-kit/clock'

const HEALTH_PATH = '/health'
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 500
const ANSWER_TIMEOUT_MS = 5_000

export type HealthWait = {
  readonly place: { readonly host: string; readonly port: number }
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Why the container does not run any more; undefined while it does. */
  readonly whyEnded: () => Promise<string | undefined>
}

/**
 * Resolves with the first complete HTTP answer, whatever its status: a server is there. The engine's
 * proxy takes a connection before anybody listens behind it, so a connection proves nothing. Throws
 * when the container ends first, when nothing answers in time, and the signal's reason.
 */
export async function awaitHealthy(wait: HealthWait): Promise<void> {
  const { clock, timeoutMs, signal } = wait
  const deadline = clock.now().getTime() + timeoutMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted()
    const leftMs = deadline - clock.now().getTime()
    if (leftMs <= 0) throw new Error(`the runtime was not ready within ${timeoutMs} ms`)
    if (await answers(wait.place, Math.min(leftMs, ANSWER_TIMEOUT_MS), signal)) return
    const reason = await wait.whyEnded()
    if (reason !== undefined) throw new Error(`the runtime ended before it was ready: ${reason}`)
    await clock.sleep(Math.min(pauseMs, leftMs), signal)
  }
}

async function answers(
  place: HealthWait['place'],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const request = get({
    ...place,
    path: HEALTH_PATH,
    agent: false,
    signal: patience,
  })
  let answer: IncomingMessage | undefined
  // Refused, reset, silent: all the same answer, not yet.
  request.once('error', () => resolve(false))
  request.once('response', (response) => {
    answer = response.resume()
  })
  // The one event that always comes: a server that switches protocols brings neither of the others.
  request.once('close', () => resolve(answer?.complete === true))
  return promise
}
