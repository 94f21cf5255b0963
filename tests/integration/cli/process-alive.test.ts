import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { isProcessAlive } from '../../../apps/cli/src/process-alive.ts'
import { eventually } from '../../support/eventually.ts'

describe('isProcessAlive', () => {
  it('knows a running process from one that has ended', async () => {
    expect(isProcessAlive(process.pid)).toBe(true)
    const child = spawn('sleep', ['60'])
    const { pid = 0 } = child
    expect(isProcessAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isProcessAlive(pid)).toBe(false)
  })

  it('does not take a zombie for a process', async () => {
    // The shell starts a child and becomes a program that never collects it; only then may the child
    // end, because until then the shell would.
    const parent = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; exec sleep 60'])
    try {
      const [line] = await once(createInterface(parent.stdout), 'line')
      const name = () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8').trim()
      await eventually(() => name() === 'sleep')
      expect(isProcessAlive(Number(line))).toBe(true)
      parent.stdin.end()
      await eventually(() => !isProcessAlive(Number(line)))
      expect(process.kill(Number(line), 0)).toBe(true)
    } finally {
      parent.kill('SIGKILL')
      await once(parent, 'exit')
    }
  })
})
