/** @module Which addresses a control plane may give a machine. */
import { AppError } from '@atrium/http-kit/app-error'
import ipaddr from 'ipaddr.js'

/** Never a machine: everybody, nobody, or the metadata service of the host. */
const REFUSED_RANGES: ReadonlySet<string> = new Set([
  'unspecified',
  'broadcast',
  'multicast',
  'linkLocal',
  'reserved',
])

/**
 * The address bounds what an agent may say about itself, and is then connected to with the inbound
 * secret. Loopback is this very machine: only a control plane on it may mean that. Throws
 * `control_plane_failed`.
 */
export function requirePrivateAddress(address: string, controlPlaneUrl: string): void {
  const range = ipaddr.process(address).range()
  if (range === 'loopback' ? isLoopback(controlPlaneUrl) : !REFUSED_RANGES.has(range)) return
  throw new AppError('control_plane_failed', {
    internal: `provision: the machine cannot be at a ${range} address`,
  })
}

function isLoopback(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  return (
    host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
  )
}
