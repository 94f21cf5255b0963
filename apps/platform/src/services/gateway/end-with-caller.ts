/** @module Events that nobody reads any more; the task behind them goes on (contract/a2a 2.7). */
import { addAbortSignal, type Readable } from 'node:stream'
import { discardAnswer } from '../../upstream/agent-client.ts'

export function endWithCaller(events: Readable, signal: AbortSignal): void {
  if (signal.aborted) discardAnswer(events)
  else addAbortSignal(signal, events)
}
