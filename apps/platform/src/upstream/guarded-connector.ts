/**
 * @module Connecting to an agent-reported address: the literal host, every DNS answer and the
 * address actually reached are all judged, so that a name that changes its mind gains nothing
 * (design/path-safety 3).
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import { AppError } from '@atrium/http-kit/app-error'
import { buildConnector } from 'undici'
import { type AddressPolicy, refusedAddress } from './agent-address.ts'

type LookupCallback = (
  error: Error | null,
  address: string | LookupAddress[],
  family?: number,
) => void

/** A `lookup` for `net.connect` that fails when any answer is refused by the policy. */
export function guardedLookup(policy: AddressPolicy) {
  return function lookup(hostname: string, options: LookupOptions, callback: LookupCallback): void {
    dnsLookup(hostname, { ...options, all: true }, (error, answers) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const bad = answers.find((answer) => refusedAddress(answer.address, policy) !== undefined)
      const first = answers[0]
      if (bad !== undefined || first === undefined) {
        callback(notRoutable(`a lookup answer was refused for ${hostname}`), [])
      } else if (options.all === true) {
        callback(null, answers)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

/** An undici connector; without a policy the endpoint is trusted (the provisioner placed it). */
export function agentConnector(options: {
  readonly timeoutMs: number
  readonly policy: AddressPolicy | undefined
}): buildConnector.connector {
  const { policy } = options
  if (policy === undefined) return buildConnector({ timeout: options.timeoutMs })
  const connect = buildConnector({ timeout: options.timeoutMs, lookup: guardedLookup(policy) })
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
