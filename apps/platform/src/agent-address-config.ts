/** @module Which addresses agents may report (contract/platform 2.7); read by `config.ts`. */
import { z } from 'zod'
import { isCidr } from './upstream/agent-address.ts'

const flag = z.enum(['0', '1']).transform((value) => value === '1')

/** Beside those that every platform has. */
export const AGENT_ADDRESS_VARIABLES = {
  ATRIUM_ALLOW_LOOPBACK_AGENTS: flag.optional(),
  ATRIUM_ALLOW_PRIVATE_AGENTS: flag.optional(),
  ATRIUM_AGENT_CIDRS: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((range) => range.trim())
        .filter((range) => range !== ''),
    )
    .refine(
      (ranges) => ranges.every(isCidr),
      'must be ranges like 100.64.0.0/10, with commas between',
    )
    .default([]),
  MOLECULE_DEPLOY_MODE: z.string().optional(),
} as const

type Values = z.output<z.ZodObject<typeof AGENT_ADDRESS_VARIABLES>> & {
  readonly MOLECULE_ORG_ID?: string | undefined
}

export type AgentAddressConfig = {
  readonly allowLoopback: boolean
  readonly allowPrivate: boolean
  readonly cidrs: readonly string[]
}

/** A hosted installation has its workspaces in a private network of its own. */
export function agentAddressesOf(values: Values, isDevelopment: boolean): AgentAddressConfig {
  return {
    allowLoopback: values.ATRIUM_ALLOW_LOOPBACK_AGENTS ?? isDevelopment,
    allowPrivate: values.ATRIUM_ALLOW_PRIVATE_AGENTS ?? deployMode(values) === 'saas',
    cidrs: values.ATRIUM_AGENT_CIDRS,
  }
}

const SELF_HOSTED: ReadonlySet<string> = new Set(['self-hosted', 'selfhosted', 'standalone'])

/** Contract/platform 2.7: the mode by name, or by whether there is an organisation. */
function deployMode(values: Values): 'saas' | 'self-hosted' | 'unknown' {
  const text = values.MOLECULE_DEPLOY_MODE?.trim().toLowerCase() ?? ''
  if (text === '') return (values.MOLECULE_ORG_ID ?? '') === '' ? 'self-hosted' : 'saas'
  if (text === 'saas') return 'saas'
  return SELF_HOSTED.has(text) ? 'self-hosted' : 'unknown'
}

/** What an operator should be told and that stops nothing: a word that no mode has is the strict one. */
export function agentAddressNotices(values: Values): readonly string[] {
  return deployMode(values) === 'unknown'
    ? ['MOLECULE_DEPLOY_MODE: neither saas nor self-hosted; taken for self-hosted']
    : []
}
