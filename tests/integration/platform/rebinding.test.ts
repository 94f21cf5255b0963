/** Names that change their mind, against the real connectors and a socket that counts connections. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError } from '@atrium/http-kit/app-error'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LookupAll } from '../../../apps/platform/src/upstream/address-guard.ts'
import {
  addressPolicyOf,
  refusedAddress,
  validateAgentUrl,
} from '../../../apps/platform/src/upstream/agent-address.ts'
import { AgentClient } from '../../../apps/platform/src/upstream/agent-client.ts'
import { startByteHop } from '../../support/byte-hop.ts'

/** A harmless address, which nobody is connected to here. */
const HARMLESS = '93.184.216.34'
const TIMEOUTS = { connectTimeoutMs: 2_000, headersTimeoutMs: 2_000, idleTimeoutMs: 2_000 }

let victim: Server
let port: number
let connections: number
let redirector: Server

beforeEach(async () => {
  connections = 0
  victim = createServer((_, response) => response.end('secret'))
  victim.on('connection', () => {
    connections += 1
  })
  redirector = createServer((_, response) =>
    response.writeHead(307, { location: `http://127.0.0.1:${port}/` }).end(),
  )
  for (const server of [victim, redirector]) {
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
  }
  port = portOf(victim)
})
afterEach(async () => {
  for (const server of [victim, redirector]) {
    server.closeAllConnections()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  }
})

function portOf(server: Server): number {
  const address = server.address() as AddressInfo
  return address.port
}

/** A resolver that gives these answers one after the other, and the last one from then on. */
function changing(...answers: readonly (readonly string[])[]) {
  let asked = 0
  const next = (): readonly string[] => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? []
    asked += 1
    return answer
  }
  const lookupAll: LookupAll = (_, options, callback) => {
    expect(options.all).toBe(true)
    callback(
      null,
      next().map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return { lookupAll, resolve: async () => next() }
}

const STRICT = addressPolicyOf({ allowLoopback: false, allowPrivate: false, cidrs: ['0.0.0.0/0'] })

async function post(url: URL, lookupAll: LookupAll, policy = STRICT): Promise<unknown> {
  const client = new AgentClient({ ...TIMEOUTS, policy, lookupAll })
  try {
    return await client
      .post({
        endpoint: { url, isTrusted: false },
        body: Buffer.from('{}'),
        headers: { authorization: 'Bearer inbound' },
        signal: new AbortController().signal,
      })
      .then(
        (answer) => answer.status,
        (error: unknown) => (error instanceof AppError ? error.code : error),
      )
  } finally {
    await client.close()
  }
}

describe('an agent whose name', () => {
  it.each([['127.0.0.1'], ['::ffff:127.0.0.1']])(
    'was harmless at its registration and is %s when it is called gets no connection',
    async (address) => {
      const { lookupAll, resolve } = changing([HARMLESS], [address])
      const url = await validateAgentUrl(`http://agent.example:${port}/`, {
        policy: STRICT,
        resolve,
      })
      expect(await post(url, lookupAll)).toBe('agent_url_not_routable')
      expect(connections).toBe(0)
    },
  )

  it('has harmless and other addresses at once gets none, in whatever order', async () => {
    for (const answers of [
      [HARMLESS, '127.0.0.1'],
      ['127.0.0.1', HARMLESS],
      ['2606:2800:220:1::1', '::1', HARMLESS],
      [HARMLESS, '169.254.169.254'],
    ]) {
      const { lookupAll } = changing(answers)
      const url = new URL(`http://agent.example:${port}/`)
      expect(await post(url, lookupAll)).toBe('agent_url_not_routable')
    }
    expect(connections).toBe(0)
  })

  it('is an address in itself is judged without a resolver', async () => {
    const never: LookupAll = () => {
      throw new Error('a literal was looked up')
    }
    for (const host of ['127.0.0.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]']) {
      const url = new URL(`http://${host}:${port}/`)
      expect(await post(url, never)).toBe('agent_url_not_routable')
    }
    expect(connections).toBe(0)
  })

  it('redirects to an address is followed nowhere (wart W28)', async () => {
    const policy = addressPolicyOf({ allowLoopback: true, allowPrivate: false, cidrs: [] })
    const url = new URL(`http://127.0.0.1:${portOf(redirector)}/`)
    expect(await post(url, changing([]).lookupAll, policy)).toBe('workspace_redirected')
    expect(connections).toBe(0)
  })

  it('is allowed is reached, so that the socket above counts what it should', async () => {
    const policy = addressPolicyOf({ allowLoopback: true, allowPrivate: false, cidrs: [] })
    const { lookupAll } = changing(['127.0.0.1'])
    expect(await post(new URL(`http://agent.example:${port}/`), lookupAll, policy)).toBe(200)
    expect(connections).toBe(1)
  })
})

describe('a file of a workspace whose name', () => {
  async function fetchFile(host: string, lookupAll: LookupAll): Promise<[number, unknown]> {
    const hop = await startByteHop(new URL(`http://${host}:${port}`), {
      ...TIMEOUTS,
      lookupAll,
      checkAddress: (address) =>
        refusedAddress(address, STRICT) === undefined
          ? undefined
          : new AppError('agent_url_not_routable'),
    })
    try {
      const answer = await fetch(new URL('/internal/file/read', hop.url))
      return [answer.status, await answer.json()]
    } finally {
      await hop.close()
    }
  }
  const refused = [502, expect.objectContaining({ code: 'agent_url_not_routable' })]

  it('changes its mind, has mixed answers, or is an address, is not read (wart W27)', async () => {
    expect(await fetchFile('agent.example', changing(['127.0.0.1']).lookupAll)).toEqual(refused)
    const mixed = changing([HARMLESS, '127.0.0.1'])
    expect(await fetchFile('agent.example', mixed.lookupAll)).toEqual(refused)
    for (const host of ['127.0.0.1', '0x7f.1', '[::1]']) {
      expect(await fetchFile(host, changing([HARMLESS]).lookupAll)).toEqual(refused)
    }
    expect(connections).toBe(0)
  })
})
