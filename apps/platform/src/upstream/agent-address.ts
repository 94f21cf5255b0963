/**
 * @module Which addresses an agent-reported URL may lead to (design/path-safety 3). One rule for
 * registration and for the moment of connecting: literals, every DNS answer, and the peer address.
 */
import { lookup as dnsLookup } from 'node:dns/promises'
import { AppError } from '@atrium/http-kit/app-error'
import ipaddr from 'ipaddr.js'

export type AddressPolicy = {
  /** Development only: agents on this machine. */
  readonly allowLoopback: boolean
  /** RFC 1918 and fd00::/8: a VPC of one's own. */
  readonly allowPrivate: boolean
  /** Ranges that an operator has named. They open what is somebody's own network, and nothing else. */
  readonly ranges?: readonly Range[]
}

type Range = ReturnType<typeof ipaddr.parseCIDR>

/** A policy from its configuration; throws on a range that `isCidr` refuses. */
export function addressPolicyOf(config: {
  readonly allowLoopback: boolean
  readonly allowPrivate: boolean
  readonly cidrs: readonly string[]
}): AddressPolicy {
  const { cidrs, ...policy } = config
  return { ...policy, ranges: cidrs.map((cidr) => ipaddr.parseCIDR(cidr)) }
}

export function isCidr(text: string): boolean {
  return ipaddr.isValidCIDR(text) && !text.startsWith('::ffff:')
}

export type Resolve = (hostname: string) => Promise<readonly string[]>

/** Never reachable, whatever the policy: credentials of the machine live there. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2:0:0:0:0:0:254',
  'fd20:ce:0:0:0:0:0:254',
])

/**
 * What an operator's range may open: networks that people run themselves. Never loopback, link-local
 * and metadata, nor what leads to them in another notation (NAT64, 6to4, Teredo, IPv4-compatible).
 */
const OPENABLE: ReadonlySet<string> = new Set([
  'private',
  'uniqueLocal',
  'carrierGradeNat',
  'benchmarking',
])

/** Names under which clouds serve credentials, whatever a resolver makes of them. */
const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.com',
  'metadata.azure.internal',
  'instance-data',
  'instance-data.ec2.internal',
])

const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR('2000::/3')
const PRIVATE_V6 = ipaddr.IPv6.parseCIDR('fd00::/8')

/**
 * Why an IP address is refused, or undefined when it may be connected to. An allow-list: what is
 * not known to be harmless is refused. `address` must come from a URL, a lookup or a socket.
 */
export function refusedAddress(address: string, policy: AddressPolicy): string | undefined {
  if (!ipaddr.isValid(address)) return 'not an IP address'
  // IPv4-mapped IPv6 is judged as the IPv4 address that it reaches.
  const parsed = ipaddr.process(address)
  if (METADATA_ADDRESSES.has(parsed.toNormalizedString())) return 'metadata service'
  const label = parsed instanceof ipaddr.IPv6 ? rangeOfV6(parsed) : parsed.range()
  const isOpened = OPENABLE.has(label) && policy.ranges?.some((range) => isWithin(parsed, range))
  return isOpened === true || isAllowedRange(label, policy) ? undefined : label
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, [network, bits]: Range): boolean {
  return address.kind() === network.kind() && address.match(network, bits)
}

function rangeOfV6(address: ipaddr.IPv6): string {
  if (address.match(PRIVATE_V6)) return 'private'
  const range = address.range()
  // ipaddr.js calls `::7f00:1` (an IPv4-compatible loopback) unicast.
  return range === 'unicast' && !address.match(GLOBAL_UNICAST_V6) ? 'not global unicast' : range
}

function isAllowedRange(range: string, policy: AddressPolicy): boolean {
  if (range === 'loopback') return policy.allowLoopback
  if (range === 'private') return policy.allowPrivate
  return range === 'unicast'
}

/** All addresses of a host name, by the system's resolver. */
export const systemResolve: Resolve = async (hostname) =>
  (await dnsLookup(hostname, { all: true })).map((answer) => answer.address)

/**
 * The canonical form of an agent-reported URL. Throws AppError `invalid_agent_url` (contract/platform
 * 2.7 texts) for anything but http(s) to an allowed host without credentials in it.
 */
export async function validateAgentUrl(
  text: string,
  options: {
    readonly policy: AddressPolicy
    readonly resolve: Resolve
    /** A name that has no address now may have one when it is called, and is judged again then. */
    readonly mayBeUnresolved?: boolean
  },
): Promise<URL> {
  const url = parseAgentUrl(text)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isMetadataName(host)) throw refused('url targets a blocked address: metadata service')
  const addresses = await addressesOf(host, options)
  for (const address of addresses) {
    const reason = refusedAddress(address, options.policy)
    if (reason === undefined) continue
    throw refused(
      address === host
        ? `url targets a blocked address: ${reason}`
        : `hostname "${host}" resolves to forbidden address: ${reason}`,
    )
  }
  return url
}

/** By its name, however it is written: the URL standard has made it lower-case ASCII already. */
export function isMetadataName(host: string): boolean {
  return METADATA_NAMES.has(host.replace(/\.+$/, ''))
}

/** What can be said before a name is looked up. */
function parseAgentUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null) throw refused('url is not valid: cannot be parsed')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused(`url scheme must be http or https, got "${url.protocol.slice(0, -1)}"`)
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('url is not valid: it must not contain credentials')
  }
  if (url.port === '0') throw refused('url is not valid: no reachable port')
  if (/^\.*$/.test(url.hostname)) throw refused('url is not valid: no host')
  // What no resolver has a name for; an IPv6 address comes in brackets.
  if (!/^(\[.*\]|[a-z0-9._-]+)$/.test(url.hostname)) throw refused('url is not valid: no host name')
  return url
}

async function addressesOf(
  host: string,
  options: { readonly resolve: Resolve; readonly mayBeUnresolved?: boolean },
): Promise<readonly string[]> {
  if (ipaddr.isValid(host)) return [host]
  if (options.mayBeUnresolved !== true) return await resolveAll(host, options.resolve)
  // Whoever calls it looks again.
  return await options.resolve(host).catch(() => [])
}

async function resolveAll(host: string, resolve: Resolve): Promise<readonly string[]> {
  try {
    const addresses = await resolve(host)
    if (addresses.length > 0) return addresses
  } catch (cause) {
    throw refused(`hostname "${host}" cannot be resolved (DNS error)`, cause)
  }
  throw refused(`hostname "${host}" cannot be resolved (DNS error)`)
}

function refused(message: string, cause?: unknown): AppError {
  return new AppError('invalid_agent_url', { message, cause })
}
