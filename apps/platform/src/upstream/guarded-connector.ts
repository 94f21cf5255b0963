/**
 * @module Connecting to an agent-reported address: the literal host, every DNS answer and the
 * address actually reached are all judged, so that a name that changes its mind gains nothing
 * (design/path-safety 3).
 */
import { isIP } from 'node:net'
import { AppError } from '@atrium/http-kit/app-error'
import { buildConnector } from 'undici'
import { checkedLookup, type LookupAll } from './address-guard.ts'
import { type AddressPolicy, refusedAddress } from './agent-address.ts'

/** An undici connector; without a policy the endpoint is trusted (the provisioner placed it). */
export function agentConnector(options: {
  readonly timeoutMs: number
  readonly policy: AddressPolicy | undefined
  /** The system's unless given. */
  readonly lookupAll?: LookupAll | undefined
}): buildConnector.connector {
  const { policy } = options
  if (policy === undefined) return buildConnector({ timeout: options.timeoutMs })
  const lookup = checkedLookup(
    (address) =>
      refusedAddress(address, policy) === undefined
        ? undefined
        : notRoutable('a lookup answer was refused'),
    options.lookupAll,
  )
  const connect = buildConnector({ timeout: options.timeoutMs, lookup })
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '')
    // net.connect does not call `lookup` for an IP literal: it has to be judged here.
    if (isIP(host) !== 0 && refusedAddress(host, policy) !== undefined) {
      callback(notRoutable('literal address refused'), null)
      return
    }
    connect(target, (...result) => {
      const [error, socket] = result
      if (error === null && socket !== null) {
        const peer = socket.remoteAddress
        if (peer === undefined || refusedAddress(peer, policy) !== undefined) {
          socket.destroy()
          callback(notRoutable('peer address refused'), null)
          return
        }
      }
      callback(...result)
    })
  }
}

function notRoutable(internal: string): AppError {
  return new AppError('agent_url_not_routable', { internal })
}
