/** @module Starts attackers and stops them. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Attack } from './attacker.ts'

export type RunningAttack = {
  /** False once the attacker failed by itself; `stop` says so. */
  isRunning(): boolean
  /** Ends the attacker; how often it swapped. */
  stop(): Promise<{ readonly count: number }>
}

/** Resolves once the attacker has swapped for the first time: on a busy machine that takes a while. */
export async function startAttack(attack: Attack): Promise<RunningAttack> {
  const child = fork(new URL('./attacker.ts', import.meta.url))
  const ended = once(child, 'exit')
  /** The attacker's next message; rejects when it ends before there is one. */
  function nextMessage(): Promise<unknown[]> {
    const failed = ended.then(() => Promise.reject(new Error('the attacker ended by itself')))
    return Promise.race([once(child, 'message'), failed])
  }
  const started = nextMessage()
  child.send(attack)
  await started
  return {
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      if (!child.connected) throw new Error('the attacker ended by itself')
      const reported = nextMessage()
      child.send('stop')
      const [count] = await reported
      await ended
      return { count: Number(count) }
    },
  }
}
