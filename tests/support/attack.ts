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

export function startAttack(attack: Attack): RunningAttack {
  const child = fork(new URL('./attacker.ts', import.meta.url))
  child.send(attack)
  return {
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      if (!child.connected) throw new Error('the attacker ended by itself')
      const reported = once(child, 'message')
      const ended = once(child, 'exit')
      child.send('stop')
      const [report] = await Promise.race([
        reported,
        ended.then(() => Promise.reject(new Error('the attacker ended by itself'))),
      ])
      await ended
      return report
    },
  }
}
