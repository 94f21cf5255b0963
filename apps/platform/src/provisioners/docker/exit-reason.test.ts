import { expect, it } from 'vitest'
import { exitReason } from './exit-reason.ts'

it.each([
  [{ ExitCode: 0 }, 'exit code 0'],
  [{ ExitCode: 3 }, 'exit code 3'],
  [{ ExitCode: 128 }, 'exit code 128'],
  [{ ExitCode: 137 }, 'signal SIGKILL'],
  [{ ExitCode: 143 }, 'signal SIGTERM'],
  [{ ExitCode: 255 }, 'exit code 255'],
  [{ ExitCode: 137, OOMKilled: true }, 'signal SIGKILL (out of memory)'],
])('tells the state %j as %j', (state, reason) => {
  expect(exitReason(state)).toBe(reason)
})
