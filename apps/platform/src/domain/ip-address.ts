/** @module Addresses of the Internet as text: spellings, ranges, and whom one belongs to. */
// biome-ignore lint/style/noRestrictedImports: arithmetic on addresses; nothing here opens one
import { BlockList, isIP, isIPv6 } from 'node:net'

/** Whether `text` is an address, or a range such as `10.0.0.0/8`. */
export function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** A set of addresses and ranges, each of which `isAddressRange` accepts. */
export function addressSet(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges) addRange(list, range)
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

function addRange(list: BlockList, range: string): void {
  const [address = '', bits] = range.split('/')
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family)
}

/** One spelling per address, a mapped IPv4 one as IPv4; undefined for what is none. */
export function canonicalAddress(text: string): string | undefined {
  const [address = ''] = text.split('%')
  if (isIP(address) === 0) return undefined
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  return URL.parse(`http://[${address}]`)?.hostname.slice(1, -1)
}

/** What one party is counted by: who has an IPv6 address has its whole /64. */
export function addressKey(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing =
    tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ?? '').split(':')]
  return `${all.slice(0, 4).join(':')}::/64`
}
