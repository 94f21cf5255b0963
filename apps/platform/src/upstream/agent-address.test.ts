import { describe, expect, it } from 'vitest'
import { refusedAddress, validateAgentUrl } from './agent-address.ts'

const STRICT = { allowLoopback: false, allowPrivate: false }
const PRIVATE = { allowLoopback: false, allowPrivate: true }
const DEVELOPMENT = { allowLoopback: true, allowPrivate: true }

/** address, strict, private networks allowed, development; true means refused. */
const MATRIX: readonly [string, boolean, boolean, boolean][] = [
  ['93.184.216.34', false, false, false],
  ['2606:2800:220:1::1', false, false, false],
  ['127.0.0.1', true, true, false],
  ['127.255.255.254', true, true, false],
  ['::1', true, true, false],
  ['::ffff:127.0.0.1', true, true, false],
  ['10.0.0.1', true, false, false],
  ['172.16.0.1', true, false, false],
  ['172.31.255.255', true, false, false],
  ['172.32.0.1', false, false, false],
  ['192.168.0.1', true, false, false],
  ['::ffff:192.168.0.1', true, false, false],
  ['fd00::1', true, false, false],
  ['fc00::1', true, true, true],
  ['169.254.0.1', true, true, true],
  ['169.254.169.254', true, true, true],
  ['::ffff:169.254.169.254', true, true, true],
  ['168.63.129.16', true, true, true],
  ['100.100.100.200', true, true, true],
  ['192.0.0.192', true, true, true],
  ['fd00:ec2::254', true, true, true],
  ['fd20:ce::254', true, true, true],
  ['fe80::1', true, true, true],
  ['100.64.0.1', true, true, true],
  ['0.0.0.0', true, true, true],
  ['0.1.2.3', true, true, true],
  ['::', true, true, true],
  ['::7f00:1', true, true, true],
  ['192.0.2.1', true, true, true],
  ['198.18.0.1', true, true, true],
  ['198.51.100.1', true, true, true],
  ['203.0.113.1', true, true, true],
  ['224.0.0.1', true, true, true],
  ['239.1.1.1', true, true, true],
  ['240.0.0.1', true, true, true],
  ['255.255.255.255', true, true, true],
  ['ff02::1', true, true, true],
  ['64:ff9b::7f00:1', true, true, true],
  ['2002:7f00:1::', true, true, true],
  ['2001:db8::1', true, true, true],
  ['100::1', true, true, true],
  ['not an address', true, true, true],
]

describe('refusedAddress', () => {
  it.each(MATRIX)('%s: strict %s, private %s, development %s', (address, ...expected) => {
    const verdicts = [STRICT, PRIVATE, DEVELOPMENT].map(
      (policy) => refusedAddress(address, policy) !== undefined,
    )
    expect(verdicts).toEqual(expected)
  })
})

describe('validateAgentUrl', () => {
  const judge = (url: string, answers: readonly string[] = []) =>
    validateAgentUrl(url, { policy: STRICT, resolve: async () => answers })

  it('stores one canonical form', async () => {
    const url = await judge('HTTP://Agent.Example:80/a/../b', ['93.184.216.34'])
    expect(url.href).toBe('http://agent.example/b')
  })

  it('needs every answer of the resolver to be harmless, and at least one', async () => {
    await expect(judge('http://a.example/', ['93.184.216.34', '10.0.0.1'])).rejects.toThrow(
      'hostname "a.example" resolves to forbidden address: private',
    )
    await expect(judge('http://a.example/', [])).rejects.toThrow('cannot be resolved')
  })

  it('says which scheme it got and refuses credentials and port zero', async () => {
    await expect(judge('file:///etc/passwd')).rejects.toThrow(
      'url scheme must be http or https, got "file"',
    )
    await expect(judge('http://u:p@93.184.216.34/')).rejects.toThrow('credentials')
    await expect(judge('http://93.184.216.34:0/')).rejects.toThrow('no reachable port')
  })
})
