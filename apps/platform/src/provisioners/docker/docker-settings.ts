/** @module What an operator sets about the Docker back-end (docs/configuration.md); no I/O. */
import { z } from 'zod'
import type { Reach } from './container-spec.ts'
import { DEFAULT_IMAGE, type ImageTable } from './images.ts'
import { DEFAULT_TIERS, type TierLimits, type TierTable } from './tier-limits.ts'

/** Less than this, and the engine refuses to make a container. */
const MIN_MEMORY_MB = 6
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost'])

const memory = (tier: 2 | 3 | 4) =>
  z.coerce.number().int().min(MIN_MEMORY_MB).default(DEFAULT_TIERS[tier].memoryMb)
const shares = (tier: 2 | 3 | 4) =>
  z.coerce.number().int().min(2).default(DEFAULT_TIERS[tier].cpuShares)

/** The variables, as a part of the platform's own schema. */
export const dockerEnvironment = {
  DOCKER_HOST: z.string().min(1).default('unix:///var/run/docker.sock'),
  ATRIUM_DOCKER_SCOPE: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be letters, digits, dots and dashes')
    .default('atrium'),
  ATRIUM_DOCKER_IMAGE: z.string().min(1).default(DEFAULT_IMAGE),
  ATRIUM_DOCKER_IMAGES: z.string().default(''),
  ATRIUM_DOCKER_PULL: z.enum(['never', 'missing']).default('never'),
  ATRIUM_DOCKER_REACH: z.enum(['loopback', 'network']).default('loopback'),
  ATRIUM_DOCKER_PLATFORM_URL: z.url({ protocol: /^https?$/ }).optional(),
  TIER2_MEMORY_MB: memory(2),
  TIER3_MEMORY_MB: memory(3),
  TIER4_MEMORY_MB: memory(4),
  TIER2_CPU_SHARES: shares(2),
  TIER3_CPU_SHARES: shares(3),
  TIER4_CPU_SHARES: shares(4),
}

const dockerValues = z.object(dockerEnvironment)
type DockerValues = z.output<typeof dockerValues>

export type DockerSettings = {
  readonly dockerHost: string
  readonly scope: string
  readonly images: ImageTable
  readonly platformUrl: string | undefined
  readonly reach: Reach
  readonly tiers: TierTable
}

/** The settings, or what is wrong with them, each problem with its variable's name. */
export function parseDockerSettings(values: DockerValues): {
  readonly settings: DockerSettings
  readonly problems: readonly string[]
} {
  const byKind = parseImages(values.ATRIUM_DOCKER_IMAGES)
  const problems = [
    ...(isLocalEngine(values.DOCKER_HOST)
      ? []
      : ['DOCKER_HOST: must be unix:///path, or tcp://127.0.0.1:port on this machine']),
    ...(byKind === undefined
      ? ['ATRIUM_DOCKER_IMAGES: must be kind=image,kind=image or a JSON object of strings']
      : []),
  ]
  return {
    problems,
    settings: {
      dockerHost: values.DOCKER_HOST,
      scope: values.ATRIUM_DOCKER_SCOPE,
      images: {
        fallback: values.ATRIUM_DOCKER_IMAGE,
        byKind: byKind ?? {},
        pull: values.ATRIUM_DOCKER_PULL,
      },
      platformUrl: values.ATRIUM_DOCKER_PLATFORM_URL?.replace(/\/+$/, ''),
      reach: values.ATRIUM_DOCKER_REACH,
      tiers: {
        2: limits(values.TIER2_MEMORY_MB, values.TIER2_CPU_SHARES),
        3: limits(values.TIER3_MEMORY_MB, values.TIER3_CPU_SHARES),
        4: limits(values.TIER4_MEMORY_MB, values.TIER4_CPU_SHARES),
      },
    },
  }
}

function limits(memoryMb: number, cpuShares: number): TierLimits {
  return { memoryMb, cpuShares }
}

/** Whoever speaks to an engine owns its machine, so nobody else may read or change what is said. */
function isLocalEngine(text: string): boolean {
  const url = URL.parse(text)
  if (url === null) return false
  if (url.protocol === 'unix:') return url.host === '' && url.pathname.length > 1
  return url.protocol === 'tcp:' && url.port !== '' && LOOPBACK_HOSTS.has(url.hostname)
}

function parseImages(text: string): Readonly<Record<string, string>> | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return {}
  const pairs = trimmed.startsWith('{') ? jsonPairs(trimmed) : listPairs(trimmed)
  return pairs?.every(([kind, image]) => kind !== '' && image !== '') === true
    ? Object.fromEntries(pairs)
    : undefined
}

function jsonPairs(text: string): readonly (readonly [string, string])[] | undefined {
  try {
    return Object.entries(z.record(z.string(), z.string()).parse(JSON.parse(text)))
  } catch {
    // Not a swallowed failure: the caller reports the variable.
    return undefined
  }
}

function listPairs(text: string): readonly (readonly [string, string])[] {
  return text.split(',').map((pair) => {
    const [kind = '', ...image] = pair.split('=')
    return [kind.trim(), image.join('=').trim()]
  })
}
