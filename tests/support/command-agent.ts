/** @module A workspace whose agent is a command, and what is said to it; one at a time. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import {
  type AgentRuntime,
  type AgentRuntimeOptions,
  startAgentRuntime,
  userMessage,
} from './agent-runtime.ts'

/** The one that the test has started. */
export let runtime: AgentRuntime

/** Has every test of the calling file end what it started by `withScript`. */
export function closeAfterEachTest(): void {
  afterEach(async () => {
    await runtime.close()
  })
}

/** A workspace whose agent is this JavaScript. */
export async function withScript(
  script: string,
  config: Record<string, unknown> = {},
  options: AgentRuntimeOptions = {},
): Promise<AgentRuntime> {
  const runtimeConfig = { command: process.execPath, args: ['-e', script], ...config }
  // JSON is YAML.
  runtime = await startAgentRuntime({
    config: JSON.stringify({ runtime_config: runtimeConfig }),
    ...options,
  })
  return runtime
}

export type Parts = {
  kind: string
  text?: string
  file?: { uri: string; name: string; mimeType: string }
}[]

/** The parts of a message. */
export const partsOf = (result: Record<string, unknown> | undefined): Parts =>
  (result?.['parts'] ?? []) as Parts

/** Sends a message and resolves with the parts of the answer, which has to be a message. */
export async function ask(text: string, files: readonly object[] = []): Promise<Parts> {
  const { result } = await runtime.call('message/send', userMessage(text, files))
  if (result?.['kind'] !== 'message') throw new Error(JSON.stringify(result))
  return partsOf(result)
}

/** A failure is a message like any other to who waits in 0.3 (contract/runtime 8.2). */
export async function failureOf(text = 'x'): Promise<string> {
  const [first] = await ask(text)
  expect(first?.text).toMatch(/^Agent error: /)
  return first?.text ?? ''
}

/** JavaScript that does `then` once the test has let it. */
export const whenReleased = (then: string) => `
  const released = setInterval(() => {
    if (!require('node:fs').existsSync(process.env.ATRIUM_WORKSPACE_DIR + '/released')) return
    clearInterval(released); ${then}
  }, 20)`

/** Lets what `whenReleased` has held back go on. */
export const release = () => put('released', '')

/** A script that gives back what it gets. */
export const stdinToStdout = 'process.stdin.pipe(process.stdout)'

/** Where the file of a `workspace:` uri lies. */
export const stored = (uri: string) => join(runtime.folders.base, uri.replace('workspace:/', ''))

/** Writes a file into the workspace; returns its uri. */
export const put = (name: string, content: string) => {
  writeFileSync(join(runtime.folders.workspace, name), content)
  return `workspace:/workspace/${name}`
}

/** Processes whose environment names this workspace: whatever the job started, in whatever group. */
export function jobProcesses(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(
        `ATRIUM_WORKSPACE_DIR=${runtime.folders.workspace}`,
      )
    } catch {
      // Gone meanwhile, or a kernel thread.
      return false
    }
  })
}
