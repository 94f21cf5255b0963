/** @module What the platform understands of a template's `config.yaml` (contract/runtime 6.2). */
import { parse } from 'yaml'
import { z } from 'zod'

const text = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .nullish()
    .transform((value) => (value === undefined || value === '' ? null : value))

/** A member of a team: the template it is made from, what it is called and what it is for. */
export const subWorkspace = z.object({
  config: text(1024),
  name: text(255),
  role: text(1000),
})
export type SubWorkspace = z.output<typeof subWorkspace>

export const subWorkspaces = z.array(subWorkspace).max(64)

const templateConfig = z.looseObject({
  name: text(255),
  role: text(1000),
  runtime: text(100),
  model: text(100),
  runtime_config: z.looseObject({ model: text(100) }).nullish(),
  sub_workspaces: subWorkspaces.nullish(),
})

export type TemplateConfig = {
  readonly name: string | null
  readonly role: string | null
  readonly runtimeKind: string | null
  readonly model: string | null
  readonly subWorkspaces: readonly SubWorkspace[]
  /** All of it, for the workspace's own `config.yaml`. */
  readonly document: Readonly<Record<string, unknown>>
}

/** undefined when it is not YAML, or not of the shape that is needed. */
export function parseTemplateConfig(bytes: Uint8Array): TemplateConfig | undefined {
  let document: unknown
  try {
    document = parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) ?? {}
  } catch {
    // Not a swallowed failure: undefined is the answer.
    return undefined
  }
  const parsed = templateConfig.safeParse(document)
  if (!parsed.success) return undefined
  const {
    name,
    role,
    runtime,
    model,
    runtime_config: runtimeConfig,
    sub_workspaces: below,
  } = parsed.data
  return {
    name,
    role,
    runtimeKind: runtime,
    model: model ?? runtimeConfig?.model ?? null,
    subWorkspaces: below ?? [],
    // What was parsed is a plain object, or the schema had refused it.
    document: z.record(z.string(), z.unknown()).parse(document),
  }
}
