/**
 * @module A gate is trusted only after it was seen red (H2). Every floor and every choke point of
 * biome.jsonc has a violating file in tests/lint-fixtures, laid out like the repository. They are
 * copied into a tree of their own beside the real configuration and linted there.
 *
 * In a fixture, `// <- rule ...` says what must be reported on its line, and the file must be clean
 * without that line. `// ! rule` is the same for a line that cannot be taken out alone, `// ^ rule`
 * speaks of the line above, and a first line `// file: rule` of the whole file. Nothing else may be
 * reported.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

const ROOT = join(import.meta.dirname, '../..')
const FIXTURES = join(ROOT, 'tests/lint-fixtures')
const BIOME = join(ROOT, 'node_modules/.bin/biome')

const MARK = /\/\/ (?<kind><-|!|\^) (?<rules>[\w/ ]+)$/
const FILE_MARK = /^\/\/ file: (?<rules>[\w/ ]+)$/

const report = z.object({
  summary: z.object({ errors: z.number(), warnings: z.number(), infos: z.number() }),
  diagnostics: z.array(
    z.object({
      category: z.string(),
      severity: z.string(),
      location: z.object({ path: z.string(), start: z.object({ line: z.number() }) }),
    }),
  ),
})

/** `path:line rule`, or `path rule` for a rule about the file. */
type Finding = string

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** The configuration and the manifests, without which floors and dependencies mean nothing. */
async function copyConfiguration(tree: string): Promise<void> {
  const manifests: string[] = ['package.json']
  for (const group of ['apps', 'packages']) {
    const members = await readdir(join(ROOT, group), { withFileTypes: true })
    manifests.push(
      ...members.filter((m) => m.isDirectory()).map((m) => join(group, m.name, 'package.json')),
    )
  }
  for (const path of ['biome.jsonc', 'scripts/biome', ...manifests]) {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await cp(join(ROOT, path), join(tree, path), { recursive: true })
  }
}

async function lint(tree: string): Promise<Finding[]> {
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', '.']
  const run = promisify(execFile)(BIOME, args, { cwd: tree, maxBuffer: 64 * 1024 * 1024 })
  const { stdout } = await run.catch((failure: { stdout: string }) => failure)
  const { diagnostics, summary } = report.parse(JSON.parse(stdout))
  expect(summary).toMatchObject({ errors: diagnostics.length, warnings: 0, infos: 0 })
  return diagnostics.map(({ category, location }) =>
    category === 'lint/style/useFilenamingConvention'
      ? `${location.path} ${category}`
      : `${location.path}:${location.start.line} ${category}`,
  )
}

async function expectedFindings(): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const file of await filesUnder(FIXTURES)) {
    const path = relative(FIXTURES, file)
    const lines = (await readFile(file, 'utf8')).split('\n')
    for (const [index, line] of lines.entries()) {
      findings.push(...marksIn(line, index + 1).map((mark) => `${path}${mark}`))
    }
  }
  return findings
}

/** What a line says must be reported: `:line rule`, or ` rule` of its file. */
function marksIn(line: string, number: number): string[] {
  const ofFile = FILE_MARK.exec(line)?.groups?.['rules']?.split(' ') ?? []
  const { kind, rules } = MARK.exec(line)?.groups ?? {}
  const reportedLine = kind === '^' ? number - 1 : number
  return [
    ...ofFile.map((rule) => ` ${rule}`),
    ...(rules?.split(' ') ?? []).map((rule) => `:${reportedLine} ${rule}`),
  ]
}

/** The fixtures as they would be written by somebody who keeps the rules. */
async function removeViolations(tree: string): Promise<void> {
  for (const file of await filesUnder(FIXTURES)) {
    const path = join(tree, relative(FIXTURES, file))
    const text = await readFile(file, 'utf8')
    const kept = text.split('\n').filter((line) => MARK.exec(line)?.groups?.['kind'] !== '<-')
    const isWholly = /\/\/ (?:!|\^|file:) /.test(text)
    if (isWholly) await rm(path)
    else await writeFile(path, kept.join('\n'))
  }
}

describe('biome.jsonc', () => {
  let tree: string

  beforeAll(async () => {
    tree = await mkdtemp(join(tmpdir(), 'atrium-lint-'))
    await copyConfiguration(tree)
    await cp(FIXTURES, tree, { recursive: true })
  })

  afterAll(async () => {
    await rm(tree, { recursive: true, force: true })
  })

  it('reports every violation, by the right rule and on the right line, and nothing else', async () => {
    const expected = await expectedFindings()
    expect(expected.length).toBeGreaterThan(150)
    expect((await lint(tree)).toSorted()).toEqual(expected.toSorted())
  })

  it('reports a file and a function that are too long', async () => {
    const folder = join(tree, 'apps/platform/src/services')
    const statements = (count: number) => Array.from({ length: count }, (_, i) => `x += ${i}`)
    const longFile = Array.from({ length: 401 }, (_, i) => `export const v${i} = ${i}`)
    const longFunction = [
      'export function long(x: number): number {',
      '  let sum = x',
      ...statements(50).map((statement) => `  ${statement.replace('x', 'sum')}`),
      '  return sum',
      '}',
    ]
    await writeFile(join(folder, 'long-file.ts'), longFile.join('\n'))
    await writeFile(join(folder, 'long-function.ts'), longFunction.join('\n'))
    const findings = (await lint(tree)).filter((finding) => finding.includes('/long-'))
    await rm(join(folder, 'long-file.ts'))
    await rm(join(folder, 'long-function.ts'))
    expect(findings.map((finding) => finding.replace(/:\d+ /, ' ')).toSorted()).toEqual([
      'apps/platform/src/services/long-file.ts lint/style/noExcessiveLinesPerFile',
      'apps/platform/src/services/long-function.ts lint/complexity/noExcessiveLinesPerFunction',
    ])
  })

  it('is satisfied by the same files without their violations', async () => {
    await removeViolations(tree)
    expect(await lint(tree)).toEqual([])
  })

  it('turns no rule into a warning: every rule is an error or off', async () => {
    const text = await readFile(join(ROOT, 'biome.jsonc'), 'utf8')
    expect(text).not.toMatch(/"(?:warn|info|on)"/)
  })
})
