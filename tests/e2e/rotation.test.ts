/** Rotating the inbound secret again and again under load: nobody notices (ADR-0024). */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ExternalRuntime } from '../support/external-runtime.ts'
import { FileLoad, type LoadTarget } from '../support/file-load.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { recordSecret } from '../support/secret-ledger.ts'

const WORKERS = 6
const ROTATIONS = 4
const SETTLED_WITHIN_MS = 60_000

let first: PlatformProcess
let second: PlatformProcess
let box: OnlineWorkspace
let external: { readonly id: string; readonly authToken: string }
let runtime: ExternalRuntime

beforeAll(async () => {
  const encryptionKey = randomBytes(32).toString('base64')
  recordSecret(encryptionKey)
  const env = { ATRIUM_ENCRYPTION_KEY: encryptionKey }
  first = await startPlatform({ env })
  // A replica without a back-end of its own, on the same database, which is not its to drop.
  const database = { ...first.database, drop: async () => undefined }
  const dataDir = mkdtempSync(join(tmpdir(), 'atrium-platform-'))
  second = await startPlatform({
    env: { ...env, ATRIUM_PROVISIONER: 'none' },
    after: { dataDir, database },
  })
  box = await OnlineWorkspace.create(first, 'rotated')
  external = await createExternal()
  runtime = await ExternalRuntime.start(first.url, external)
  await eventually(async () => (await read(`/workspaces/${external.id}`))['status'] === 'online')
  await settled(external.id)
}, 120_000)

afterAll(async () => {
  await runtime?.stop()
  await second?.stop()
  await first?.stop()
})

async function read(path: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${first.url}${path}`)).json()) as Record<string, unknown>
}

async function createExternal() {
  const answer = await fetch(`${first.url}/workspaces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'laptop', external: true }),
  })
  const body = (await answer.json()) as { id: string; connection: { auth_token: string } }
  recordSecret(body.connection.auth_token)
  return { id: body.id, authToken: body.connection.auth_token }
}

const targets = (): LoadTarget[] =>
  [first, second].flatMap(({ url: platformUrl }) => [
    { platformUrl, id: box.id, token: box.token },
    { platformUrl, id: external.id, token: external.authToken },
  ])

async function rotate(platform: PlatformProcess, workspace: LoadTarget): Promise<void> {
  const answer = await fetch(`${platform.url}/workspaces/${workspace.id}/inbound-secret/rotate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${workspace.token}` },
  })
  expect(answer.status).toBe(202)
}

async function settled(id: string): Promise<void> {
  const token = id === box.id ? box.token : external.authToken
  await eventually(async () => {
    const answer = await fetch(`${first.url}/workspaces/${id}/inbound-secret`, {
      headers: { authorization: `Bearer ${token}` },
    })
    const state = (await answer.json()) as { rotation: string; acknowledged_at: string | null }
    return state.rotation === 'settled' && state.acknowledged_at !== null
  }, SETTLED_WITHIN_MS)
}

/** Asks one replica and then the other, each time when the rotation before has come to its end. */
async function rotateAgainAndAgain(workspace: LoadTarget, secret: () => string): Promise<void> {
  const seen = new Set([secret()])
  for (let round = 0; round < ROTATIONS; round += 1) {
    await rotate(round % 2 === 0 ? first : second, workspace)
    await settled(workspace.id)
    seen.add(secret())
  }
  expect(seen.size).toBe(ROTATIONS + 1)
}

function boxSecret(): string {
  const secret = readFileSync(join(box.dir, 'configs/.platform_inbound_secret'), 'utf8')
  recordSecret(secret)
  return secret
}

/** Requests that a runtime has refused: with the former secret accepted there is no reason to. */
function refusals(): number {
  const logs = join(box.dir, 'logs')
  const consoles = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'))
  return [...consoles, runtime.log].join('\n').split('"status":401').length - 1
}

it('loses no request, with two replicas and a restart of the runtime in between', async () => {
  const load = new FileLoad(targets(), WORKERS)
  load.start()
  const [, laptop] = load.targets
  const [boxed] = load.targets
  if (boxed === undefined || laptop === undefined) throw new Error('no targets')
  await Promise.all([
    rotateAgainAndAgain(boxed, boxSecret),
    rotateAgainAndAgain(laptop, () => runtime.inboundSecret),
  ])
  // The runtime has the new one, the platform may not know yet: and then it is killed.
  const before = runtime.inboundSecret
  await rotate(second, laptop)
  await eventually(() => runtime.inboundSecret !== before, SETTLED_WITHIN_MS)
  await load.stop()
  await runtime.restart()
  load.start()
  await settled(external.id)
  await load.stop()
  process.stdout.write(
    `rotations: ${2 * ROTATIONS + 1}, requests: ${load.requests}, failures: ${load.failures.length}, refusals: ${refusals()}\n`,
  )
  expect(load.failures).toEqual([])
  expect(refusals()).toBe(0)
  expect(load.requests).toBeGreaterThan(50)
})
