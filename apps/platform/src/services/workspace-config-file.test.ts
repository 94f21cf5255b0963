import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { workspaceConfigFile } from './workspace-config-file.ts'

const row = {
  name: 'a: "b" # c',
  role: null,
  tier: 2,
  model: null,
  runtimeKind: 'exec',
  runtimeConfig: { command: 'node', args: ['- x', '*y', '&z'], timeout: 30 },
  maxConcurrentTasks: 3,
}

describe('workspaceConfigFile', () => {
  it('is YAML that says exactly what was asked for, whatever the text looks like', () => {
    expect(parse(Buffer.from(workspaceConfigFile(row)).toString())).toEqual({
      name: 'a: "b" # c',
      role: '',
      tier: 2,
      runtime: 'exec',
      runtime_config: { command: 'node', args: ['- x', '*y', '&z'], timeout: 30, concurrency: 3 },
    })
  })

  it('needs no runtime configuration', () => {
    const file = workspaceConfigFile({ ...row, runtimeConfig: null, model: 'm' })
    expect(parse(Buffer.from(file).toString())).toMatchObject({
      model: 'm',
      runtime_config: { concurrency: 3 },
    })
  })

  it('says above what its template says, and keeps the rest of that', () => {
    const template = { role: 'of the template', skills: ['sql'], runtime_config: { timeout: 3 } }
    const runtimeConfig = { timeout: 7, sub_workspaces: [{ name: 'One' }] }
    const file = workspaceConfigFile({ ...row, role: null, runtimeConfig }, template)
    expect(parse(Buffer.from(file).toString())).toMatchObject({
      role: 'of the template',
      skills: ['sql'],
      sub_workspaces: [{ name: 'One' }],
      runtime_config: { timeout: 7, concurrency: row.maxConcurrentTasks },
    })
  })
})
