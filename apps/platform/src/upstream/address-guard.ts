/**
 * @module The moment of connecting, for `node:http` and `node:https`: the literal host, every DNS
 * answer and the address actually reached are judged (design/path-safety 3), so that neither a
 * literal, nor a name that changes its mind between check and use, gains anything.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { AppError } from '@atrium/http-kit/app-error'

/** The failure to answer with when an IP address must not be connected to, else undefined. */
export type CheckAddress = (address: string) => AppError | undefined

/** Throws what `check` says about a host that is an IP literal: no lookup is made for those. */
export function assertLiteralAllowed(hostname: string, check: CheckAddress): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  const refusal = isIP(host) === 0 ? undefined : check(host)
  if (refusal !== undefined) throw refusal
}

/** Every answer for a name, as `dns.lookup` gives them: injected where a test holds the resolver. */
export type LookupAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, answers: LookupAddress[]) => void,
) => void

/** A lookup, the system's unless given, that fails when any one answer is refused. */
export function checkedLookup(
  check: CheckAddress,
  lookupAll: LookupAll = dnsLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    lookupAll(hostname, { ...options, all: true }, (error, answers) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const refusal = answers
        .map((answer) => check(answer.address))
        .find((each) => each !== undefined)
      const first = answers[0]
      if (refusal !== undefined || first === undefined) {
        callback(refusal ?? new AppError('workspace_unreachable', { internal: 'no address' }), [])
      } else if (options.all === true) {
        callback(null, answers)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

/** Destroys a connection to a refused peer before a byte of the request has been written to it. */
export function checkPeer(socket: Socket, check: CheckAddress): void {
  socket.once('connect', () => {
    const peer = socket.remoteAddress
    const refusal =
      peer === undefined
        ? new AppError('workspace_unreachable', { internal: 'connection without a peer' })
        : check(peer)
    if (refusal !== undefined) socket.destroy(refusal)
  })
}
