import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { isProcessAlive } from '../../../apps/cli/src/process-alive.ts'

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
    // The shell starts a child and becomes a program that never collects it.
    const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 60'])
    try {
      const [line] = await once(createInterface(parent.stdout), 'line')
      await expect.poll(() => isProcessAlive(Number(line))).toBe(false)
      expect(process.kill(Number(line), 0)).toBe(true)
    } finally {
      parent.kill('SIGKILL')
      await once(parent, 'exit')
    }
  })
})
