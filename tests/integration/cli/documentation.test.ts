import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../../apps/cli/src/failure.ts'
import { createProgram } from '../../../apps/cli/src/program.ts'

const page = await readFile(resolve(import.meta.dirname, '../../../docs/cli.md'), 'utf8')

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}

describe('docs/cli.md', () => {
  it('lists exactly the exit codes that there are', () => {
    const listed = [...page.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]))
    expect(listed).toEqual(Object.values(EXIT).toSorted((a, b) => a - b))
  })

  it('names every command and every option', () => {
    const silent = { writeOut: () => undefined, writeErr: () => undefined }
    const program = createProgram(() => Promise.resolve(), silent)
    const commands = everyCommand(program)
    for (const command of commands) {
      if (command.commands.length === 0) expect(page).toContain(`${command.name()} `)
      for (const { long } of command.options) expect(page).toMatch(new RegExp(`${long}\\b`))
    }
    expect(commands.length).toBeGreaterThan(8)
  })
})
