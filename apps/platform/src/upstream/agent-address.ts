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
  return isAllowedRange(label, policy) ? undefined : label
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
  options: { readonly policy: AddressPolicy; readonly resolve: Resolve },
): Promise<URL> {
  const url = parseAgentUrl(text)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = ipaddr.isValid(host) ? [host] : await resolveAll(host, options.resolve)
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
  if (url.port === '0' || url.hostname === '') throw refused('url is not valid: no reachable port')
  return url
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
