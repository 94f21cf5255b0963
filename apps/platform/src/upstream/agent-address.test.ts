import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { addressPolicyOf, isCidr, refusedAddress, validateAgentUrl } from './agent-address.ts'

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

/**
 * Contract/platform 2.7 row by row: an address of each range, whether a self-hosted (strict) and a
 * hosted installation refuse it. Where the contract's own validators disagree or are open, the
 * strictest of them counts, and what they miss is refused.
 */
const CONTRACT_RANGES: readonly [string, readonly string[], boolean, boolean][] = [
  ['127.0.0.0/8, ::1', ['127.0.0.1', '127.8.9.10', '::1'], true, true],
  [
    '169.254.0.0/16, fe80::/10',
    ['169.254.0.1', '169.254.169.254', 'fe80::1', 'febf::1'],
    true,
    true,
  ],
  ['10/8', ['10.0.0.0', '10.255.255.255'], true, false],
  ['172.16/12', ['172.16.0.1', '172.31.255.255'], true, false],
  ['192.168/16', ['192.168.0.1', '192.168.255.255'], true, false],
  ['100.64/10', ['100.64.0.1', '100.127.255.255'], true, true],
  ['documentation', ['192.0.2.1', '198.51.100.1', '203.0.113.1'], true, true],
  ['224.0.0.0/4', ['224.0.0.1', '232.1.1.1', '239.255.255.255'], true, true],
  ['fc00::/8', ['fc00::1', 'fcff::1'], true, true],
  ['fd00::/8', ['fd00::1', 'fdff::1'], true, false],
  ['2001:db8::/32', ['2001:db8::1'], true, true],
  ['0.0.0.0, ::', ['0.0.0.0', '::'], true, true],
  // Missing from all of the contract's validators.
  ['0.0.0.0/8 remainder', ['0.0.0.1', '0.255.255.255'], true, true],
  ['192.0.0.0/24', ['192.0.0.1', '192.0.0.192'], true, true],
  ['198.18/15', ['198.18.0.1', '198.19.255.255'], true, true],
  ['240/4, broadcast', ['240.0.0.1', '254.1.1.1', '255.255.255.255'], true, true],
  ['ff00::/8', ['ff02::1', 'ff05::2', 'ff0e::1'], true, true],
  ['64:ff9b::/96', ['64:ff9b::a00:1', '64:ff9b::5db8:d822'], true, true],
  ['2002::/16', ['2002:a00:1::', '2002:5db8:d822::'], true, true],
  ['mapped', ['::ffff:10.0.0.1', '::ffff:a00:1'], true, false],
  ['outside', ['93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:2800:220:1::1'], false, false],
]

describe('the ranges of the contract', () => {
  const modes = { strict: false, hosted: true }
  it.each(CONTRACT_RANGES)('%s', (_, addresses, strict, hosted) => {
    for (const [mode, allowPrivate] of Object.entries(modes)) {
      const refusals = addresses.map((each) =>
        refusedAddress(each, { allowLoopback: false, allowPrivate }),
      )
      const expected = mode === 'strict' ? strict : hosted
      expect(refusals.map((refusal) => refusal !== undefined)).toEqual(
        addresses.map(() => expected),
      )
    }
  })
})

describe("an operator's ranges", () => {
  const opened = (...cidrs: string[]) =>
    addressPolicyOf({ allowLoopback: false, allowPrivate: false, cidrs })

  it('open what they name and nothing beside it (wart W29)', () => {
    const policy = opened('10.20.0.0/16', '100.64.0.0/10', 'fc12::/16')
    for (const [address, isRefused] of [
      ['10.20.255.1', false],
      ['::ffff:10.20.0.1', false],
      ['10.21.0.1', true],
      ['100.100.0.1', false],
      ['100.100.100.200', true],
      ['fc12::5', false],
      ['fc13::5', true],
      ['192.168.0.1', true],
    ] as const) {
      expect([address, refusedAddress(address, policy) !== undefined]).toEqual([address, isRefused])
    }
  })

  it('never open loopback, link-local, metadata, or another notation of them', () => {
    const everything = opened('0.0.0.0/0', '::/0', '127.0.0.0/8', '169.254.0.0/16', 'fe80::/10')
    const closed = [
      ...['127.0.0.1', '127.1.2.3', '::1', '169.254.0.1', '169.254.169.254', 'fe80::1'],
      ...['168.63.129.16', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254', '169.254.170.2'],
      ...['0.0.0.0', '::', '255.255.255.255', '224.0.0.1', 'ff02::1', '240.0.0.1'],
      ...['::ffff:127.0.0.1', '::7f00:1', '64:ff9b::7f00:1', '64:ff9b:1::a9fe:a9fe'],
      ...['2002:7f00:1::', '2001:0:7f00:1::', '::ffff:0:7f00:1'],
    ]
    for (const address of closed) {
      expect([address, refusedAddress(address, everything)]).toEqual([address, expect.any(String)])
    }
  })

  it('are ranges', () => {
    const ranges = ['10.0.0.0/8', 'fd00::/8', '1.2.3.4/32', '::/0']
    expect(ranges.filter((range) => !isCidr(range))).toEqual([])
    const others = ['10.0.0.0', '10.0.0.0/33', '/8', 'host/8', '', '::ffff:10.0.0.0/104']
    expect(others.filter(isCidr)).toEqual([])
  })
})

/** One address in many words; what is no spelling of it may be refused for what it is instead. */
const METADATA_SPELLINGS: readonly string[] = [
  ...['169.254.169.254', '169.254.169.254.', '169.254.43518', '169.16689662', '2852039166'],
  ...['0xa9fea9fe', '0XA9FEA9FE', '0xa9.0xfe.0xa9.0xfe', '0251.0376.0251.0376', '025177524776'],
  ...[
    '0xa9.254.0251.254',
    '%31%36%39.254.169.254',
    '169。254。169。254',
    '１６９.２５４.１６９.２５４',
  ],
  ...['user:pw@169.254.169.254', 'good.example@169.254.169.254', '169.254.169.\t254'],
  ...['[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[0:0:0:0:0:FFFF:A9FE:A9FE]'],
  ...['[::169.254.169.254]', '[::ffff:0:a9fe:a9fe]', '[64:ff9b::169.254.169.254]'],
  ...['[64:ff9b:1::a9fe:a9fe]', '[2002:a9fe:a9fe::]', '[2001:0:a9fe:a9fe::]'],
  ...['[fd00:ec2::254]', '[FD00:0EC2:0:0:0:0:0:0254]', '[fd20:ce::254]', '[fe80::a9fe:a9fe]'],
  ...['metadata', 'metadata.google.internal', 'METADATA.Google.Internal', 'metadata.azure.com'],
  ...['metadata.google.internal.', 'metadata。google。internal', 'ｍetadata', 'instance-data'],
]

describe('the metadata address', () => {
  const OPEN = addressPolicyOf({
    allowLoopback: true,
    allowPrivate: true,
    cidrs: ['0.0.0.0/0', '::/0'],
  })
  it.each(METADATA_SPELLINGS)(
    'is refused as http://%s/, whatever is allowed besides',
    async (host) => {
      // A resolver that vouches for every name.
      const resolve = async () => ['93.184.216.34']
      for (const policy of [STRICT, PRIVATE, OPEN]) {
        for (const text of [
          `http://${host}/latest/`,
          `http:\\\\${host}\\`,
          ` HTTP://${host}:80 `,
        ]) {
          await expect(validateAgentUrl(text, { policy, resolve })).rejects.toMatchObject({
            code: 'invalid_agent_url',
          })
        }
      }
    },
  )
})

describe('whatever an agent reports', () => {
  it('either is refused, or has one canonical form that is accepted again', async () => {
    const pieces = fc.constantFrom(
      ...['http://', 'https:', '//', '127.0.0.1', '10.0.0.1', '[::1]', '0x7f.1', '@', ':', '8080'],
      ...['/', '\\', '%', '#', '?', 'agent.example', '.', ' ', '\t', 'ü', '2130706433'],
    )
    const options = { policy: STRICT, resolve: async () => ['93.184.216.34'] }
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 8 }), async (parts) => {
        const judged = await validateAgentUrl(parts.join(''), options).catch(() => undefined)
        if (judged === undefined) return
        expect((await validateAgentUrl(judged.href, options)).href).toBe(judged.href)
        expect([judged.username, judged.password]).toEqual(['', ''])
        // No resolver was asked for anything else than a name, and an address is one that may be
        // called: `http://80808080` is one, of the public kind.
        expect(judged.hostname).toMatch(/^[a-z0-9._-]+$/)
        const isAddress = ipaddr.isValid(judged.hostname)
        expect(isAddress && refusedAddress(judged.hostname, STRICT)).toBeOneOf([false, undefined])
      }),
      {
        numRuns: 2_000,
        examples: [[['http://', '8080', '8080']], [['http://', '%', '2130706433']]],
      },
    )
  })
})

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

  it('refuses a host that no resolver has a name for', async () => {
    await expect(judge('http://%2130706433/', ['93.184.216.34'])).rejects.toThrow('no host name')
  })

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
