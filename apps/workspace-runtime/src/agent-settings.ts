/** @module What `/configs/config.yaml` says about the agent (contract/runtime 6.2), as far as it is used. */
import { MAX_TIMER_MS } from '@atrium/http-kit/clock'
import { parse } from 'yaml'
import { z } from 'zod'

const DEFAULT_MAX_WAITING = 100

// Contract/runtime 6.2: the file is a person's; a number or a null where a text is expected is not
// a reason to keep a workspace from starting.
const text = (fallback: string) =>
  z
    .union([z.string(), z.number(), z.boolean(), z.null()])
    .optional()
    .transform((value) => (value === undefined || value === null ? fallback : String(value)))

const settings = z.object({
  name: text('Workspace'),
  description: text(''),
  role: text(''),
  version: text('1.0.0'),
  runtime: text('langgraph'),
  runtime_config: z
    .object({
      command: text(''),
      args: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
      /** Seconds; 0 is unlimited. */
      timeout: z.number().min(0).default(0),
      required_env: z.array(z.string().min(1)).default([]),
      concurrency: z.number().int().min(1).max(64).default(1),
      max_waiting: z.number().int().min(0).max(1_000).default(DEFAULT_MAX_WAITING),
    })
    .nullish(),
  a2a: z
    .object({
      port: z.number().int().min(0).max(65_535).optional(),
      streaming: z.boolean().default(true),
    })
    .nullish(),
})

export type AgentSettings = {
  readonly name: string
  readonly description: string
  readonly version: string
  /** A label (contract/runtime 6.2); `echo` selects the adapter of that name. */
  readonly runtimeKind: string
  readonly command: string
  readonly args: readonly string[]
  /** undefined: a job may take as long as it likes. */
  readonly timeoutMs: number | undefined
  readonly requiredEnv: readonly string[]
  /** Jobs that may run at the same time; the others wait in order. */
  readonly concurrency: number
  /** How many wait here beyond those; the platform keeps the others. */
  readonly maxWaiting: number
  readonly port: number | undefined
  readonly isStreaming: boolean
}

export type AgentSettingsResult =
  | { readonly ok: true; readonly settings: AgentSettings }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Reads the file's text; the empty text gives every default. Never throws. */
export function parseAgentSettings(yaml: string): AgentSettingsResult {
  let document: unknown
  try {
    document = parse(yaml)
  } catch (error) {
    return { ok: false, problems: [`not YAML: ${error instanceof Error ? error.message : ''}`] }
  }
  const parsed = settings.safeParse(document ?? {})
  if (!parsed.success) {
    return {
      ok: false,
      problems: parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
    }
  }
  return { ok: true, settings: settingsFrom(parsed.data) }
}

function settingsFrom(data: z.infer<typeof settings>): AgentSettings {
  const run = data.runtime_config
  return {
    name: data.name,
    // Contract/runtime 8.1: the description falls back to the name, here by way of the role.
    description: data.description || data.role || data.name,
    version: data.version,
    runtimeKind: data.runtime,
    command: run?.command ?? '',
    args: run?.args ?? [],
    timeoutMs: timeoutMsOf(run?.timeout ?? 0),
    requiredEnv: run?.required_env ?? [],
    concurrency: run?.concurrency ?? 1,
    maxWaiting: run?.max_waiting ?? DEFAULT_MAX_WAITING,
    port: data.a2a?.port,
    isStreaming: data.a2a?.streaming ?? true,
  }
}

function timeoutMsOf(seconds: number): number | undefined {
  return seconds === 0 ? undefined : Math.min(seconds * 1000, MAX_TIMER_MS)
}
