import { describe, expect, it } from 'vitest'
import { CliFailure } from '../failure.ts'
import { chooseWorkspace } from './resolve-workspace.ts'
import type { WorkspaceRow } from './workspace.ts'

const row = (id: string, name: string): WorkspaceRow => ({ id, name, status: 'online' })
const ROWS = [
  row('3f2a0000-0000-4000-8000-000000000001', 'alpha'),
  row('3f2a0000-0000-4000-8000-000000000002', 'beta'),
  row('91bc0000-0000-4000-8000-000000000003', '3f2a'),
  row('77777777-0000-4000-8000-000000000004', 'twin'),
  row('88888888-0000-4000-8000-000000000005', 'twin'),
]

function exitCodeOf(reference: string): number | undefined {
  try {
    chooseWorkspace(ROWS, reference)
  } catch (thrown) {
    if (thrown instanceof CliFailure) return thrown.exitCode
    throw thrown
  }
  return undefined
}

describe('chooseWorkspace', () => {
  it('finds a unique name', () => {
    expect(chooseWorkspace(ROWS, 'beta').id).toBe(ROWS[1]?.id)
  })

  it('finds the beginning of an id in either case', () => {
    expect(chooseWorkspace(ROWS, '91BC').id).toBe(ROWS[2]?.id)
  })

  it('prefers an exact name to the beginning of an id', () => {
    expect(chooseWorkspace(ROWS, '3f2a').id).toBe(ROWS[2]?.id)
  })

  it('refuses what names several, and says so differently from what names none', () => {
    expect(exitCodeOf('twin')).toBe(2)
    expect(exitCodeOf('3f2a0000')).toBe(2)
    expect(exitCodeOf('gamma')).toBe(3)
    expect(exitCodeOf('777')).toBe(3)
    expect(exitCodeOf('')).toBe(3)
  })
})
