import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

let platform: PlatformHarness

beforeAll(async () => {
  platform = await startPlatformHarness()
})
afterAll(() => platform.stop())

const CARD = { name: 'agent' }
const ADDRESS = '10.9.8.7'

type Row = Readonly<Record<'status' | 'endpoint_url' | 'agent_url' | 'agent_card', unknown>>

async function rowOf(id: string): Promise<Row> {
  const rows = await platform.client.sql<Row[]>`
    SELECT status, endpoint_url, agent_url, agent_card FROM workspaces WHERE id = ${id}`
  const [row] = rows
  if (row === undefined) throw new Error('no such row')
  return row
}

/** A workspace as it is between the start of its box and the first word of its agent. */
async function startedBox(address: string | null): Promise<{ id: string; authToken: string }> {
  const own = await platform.onlineWorkspace('http://127.0.0.1:9')
  await platform.client.sql`
    UPDATE workspaces SET status = 'provisioning', endpoint_url = NULL, agent_url = NULL,
      agent_card = NULL, box_address = ${address} WHERE id = ${own.id}`
  return own
}

function register(box: { id: string; authToken: string }, fields: Record<string, unknown>) {
  const body = { id: box.id, agent_card: CARD, ...fields }
  return platform.json('/registry/register', body, box.authToken)
}

describe('POST /registry/register of a box whose back-end told only its address', () => {
  it('takes the port from the agent, and brings the workspace online', async () => {
    const box = await startedBox(ADDRESS)
    const answer = await register(box, { url: `http://${ADDRESS}:8123` })
    expect(answer.status).toBe(200)
    expect(await rowOf(box.id)).toMatchObject({
      status: 'online',
      endpoint_url: `http://${ADDRESS}:8123/`,
      agent_url: null,
    })
  })

  it.each([
    'http://10.9.8.8:8123',
    'http://169.254.169.254/latest/meta-data',
    'http://127.0.0.1:5432',
    'http://user:pw@10.9.8.7:8123',
    'https://10.9.8.7:8123',
    'http://ip-10-9-8-7:8000',
    'file:///10.9.8.7',
  ])('refuses %s, and changes nothing', async (url) => {
    const box = await startedBox(ADDRESS)
    const before = await rowOf(box.id)
    const answer = await register(box, { url })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'invalid_agent_url' })
    expect(await rowOf(box.id)).toEqual(before)
  })

  it('asks a push agent for a URL, and lets a polling one do without', async () => {
    const box = await startedBox(ADDRESS)
    const bare = await register(box, {})
    expect(bare.status).toBe(400)
    expect(await bare.json()).toMatchObject({ code: 'agent_url_required' })
    expect((await register(box, { delivery_mode: 'poll' })).status).toBe(200)
    expect(await rowOf(box.id)).toMatchObject({ status: 'online', endpoint_url: null })
  })

  it('lets nobody move an endpoint that is known', async () => {
    const box = await startedBox(ADDRESS)
    await register(box, { url: `http://${ADDRESS}:8123` })
    expect((await register(box, { url: 'http://10.0.0.1:1' })).status).toBe(200)
    expect(await rowOf(box.id)).toMatchObject({ endpoint_url: `http://${ADDRESS}:8123/` })
  })

  it('keeps the word of an agent that is faster than its own start, and uses it for nothing', async () => {
    const box = await startedBox(null)
    expect((await register(box, { url: `http://${ADDRESS}:8123?x#y` })).status).toBe(200)
    expect(await rowOf(box.id)).toMatchObject({
      status: 'provisioning',
      endpoint_url: null,
      agent_url: `http://${ADDRESS}:8123/`,
    })
    const files = await platform.request(`/workspaces/${box.id}/chat/download?path=/workspace/x`)
    expect(await files.json()).toMatchObject({ code: 'workspace_url_missing' })
  })
})

describe('an agent that registers before its start is written down', () => {
  /** Creates a workspace whose start does not end before its agent has said `url`. */
  async function heardFirst(url: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<null>()
    platform.provisioner.endpoint = () => promise
    platform.provisioner.address = ADDRESS
    const created = await platform.json('/workspaces', { name: 'quick', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    const start = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === id),
    )
    const authToken = start.credentials.authToken.reveal()
    expect((await register({ id, authToken }, { url })).status).toBe(200)
    resolve(null)
    return id
  }

  it('is online once the address agrees with what it said', async () => {
    const id = await heardFirst(`http://${ADDRESS}:8123`)
    await eventually(async () => (await rowOf(id)).status === 'online')
    expect(await rowOf(id)).toMatchObject({ endpoint_url: `http://${ADDRESS}:8123/` })
  })

  it('stays where it is when it does not', async () => {
    const id = await heardFirst('http://10.0.0.1:8123')
    await eventually(() =>
      platform.logLines().some((line) => line.includes('lifecycle.agent_url_not_in_box')),
    )
    expect(await rowOf(id)).toMatchObject({ status: 'provisioning', endpoint_url: null })
  })
})

describe('an agent whose box makes room for the next one', () => {
  let goOn = (): void => undefined

  /** A workspace whose box takes until `goOn` to end; its agent has spoken. */
  async function endingBox(fields: Record<string, unknown>) {
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    goOn = resolve
    platform.provisioner.endpoint = () => null
    platform.provisioner.address = ADDRESS
    const created = await platform.json('/workspaces', { name: 'w', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    const startsOf = () => platform.provisioner.starts.filter((each) => each.workspaceId === id)
    await eventually(async () => (await boxOf(id))?.startedAt != null)
    const authToken = startsOf()[0]?.credentials.authToken.reveal() ?? ''
    const speak = () => register({ id, authToken }, fields)
    expect((await speak()).status).toBe(200)
    expect((await rowOf(id)).status).toBe('online')
    platform.provisioner.beforeStop = () => ended
    return { id, authToken, speak, startsOf }
  }

  const boxOf = async (id: string) => {
    const rows = await platform.client.sql<{ startedAt: Date | null }[]>`
      SELECT box_started_at AS "startedAt" FROM workspaces WHERE id = ${id}`
    return rows[0]
  }

  afterEach(() => {
    goOn()
    platform.provisioner.beforeStop = async () => undefined
  })

  it.each([
    ['is pushed to', { url: `http://${ADDRESS}:8123` }],
    ['polls', { delivery_mode: 'poll' }],
  ])('and that %s does not end the restart by speaking', async (_how, fields) => {
    const { id, authToken, speak, startsOf } = await endingBox(fields)
    expect((await platform.json(`/workspaces/${id}/restart`, {})).status).toBe(200)
    expect((await speak()).status).toBe(200)
    await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect((await rowOf(id)).status).toBe('provisioning')
    goOn()
    // The row says it first.
    await eventually(() => startsOf().length > 1)
    expect(startsOf().map(({ generation }) => generation)).toEqual([1, 2])
  })

  it('and was taken for dead gets its next box all the same', async () => {
    const { id, speak, startsOf } = await endingBox({ url: `http://${ADDRESS}:8123` })
    const stopping = Promise.withResolvers<void>()
    const wait = platform.provisioner.beforeStop
    platform.provisioner.beforeStop = () => {
      stopping.resolve()
      return wait()
    }
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'said so' })
    await stopping.promise
    expect((await speak()).status).toBe(200)
    expect((await rowOf(id)).status).toBe('online')
    goOn()
    // The row says it first.
    await eventually(() => startsOf().length > 1)
    expect(startsOf().map(({ generation }) => generation)).toEqual([1, 2])
  })
})

const sweep = () => platform.deps.lifecycle.sweepBoxes(new AbortController().signal)

describe('a machine that boots', () => {
  const silentSince = (id: string, seconds: number) => platform.client.sql`
    UPDATE workspaces SET last_heartbeat_at = NULL,
      box_started_at = now() - ${seconds} * interval '1 second' WHERE id = ${id}`

  it('is not taken for dead, however long it says nothing, while its back-end knows it', async () => {
    const { id } = await startedBox(ADDRESS)
    platform.provisioner.listsNothing = true
    try {
      await silentSince(id, 300)
      expect(await sweep()).toMatchObject({ dead: 0 })
      expect(await rowOf(id)).toMatchObject({ status: 'provisioning' })
    } finally {
      platform.provisioner.listsNothing = false
    }
  })

  it('and ends before its first word is noticed by its back-end and its silence', async () => {
    const { id } = await startedBox(ADDRESS)
    platform.provisioner.running.delete(id)
    await silentSince(id, 20)
    expect(await sweep()).toMatchObject({ dead: 0 })
    await silentSince(id, 60)
    expect(await sweep()).toMatchObject({ dead: 1 })
  })
})
