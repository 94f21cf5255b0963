/** @module Everything a soak runs on: database, control plane, replicas, one address for them. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlPlane } from '../../tests/support/control-plane/control-plane.ts'
import { openFrontDoor } from '../../tests/support/front-door.ts'
import { startTestCluster } from '../../tests/support/test-cluster.ts'
import { createTestDatabase } from '../../tests/support/test-database.ts'
import { PlatformApi } from './platform-api.ts'
import { freePort, ORG_HEADER, Replica } from './replica.ts'
import { QUIET_AGENT, SoakMachine, type SoakRun } from './soak-machine.ts'
import { WorkspaceRows } from './workspace-rows.ts'

const BEAT_MS = 5_000
const ORG_ID = 'org-of-the-soak'

export type Stage = {
  readonly run: SoakRun
  readonly controlPlane: ControlPlane
  readonly replicas: readonly Replica[]
  readonly api: PlatformApi
  readonly rows: WorkspaceRows
  readonly databaseUrl: string
  /** Ends everything. */
  end(): Promise<void>
  /** What the platforms said; it stays until somebody removes it. */
  readonly folder: string
}

/** Resolves when every replica is ready. */
export async function setStage(replicaCount: number, agent = QUIET_AGENT): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = []
  const end = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    undo.push(await startTestCluster())
    const database = await createTestDatabase()
    undo.push(() => database.drop())
    const folder = mkdtempSync(join(tmpdir(), 'atrium-soak-'))
    const run = { mark: folder, beatMs: BEAT_MS, agent, orgId: ORG_ID }
    const controlPlane = new ControlPlane({
      orgId: ORG_ID,
      net: 90,
      make: (input) => new SoakMachine(input, run),
    })
    await controlPlane.start()
    undo.push(() => controlPlane.stop())
    const ports = await Promise.all(Array.from({ length: replicaCount }, freePort))
    const door = await openFrontDoor()
    undo.push(() => door.close())
    door.behind = ports.map((port) => `http://127.0.0.1:${port}`)
    const env = { ...platformEnv(door.url, database.url), ...controlPlane.platformEnv }
    const replicas = ports.map(
      (port) => new Replica({ port, folder: join(folder, String(port)), env }),
    )
    undo.push(() => Promise.all(replicas.map((replica) => replica.end('SIGTERM'))))
    const rows = new WorkspaceRows(database.url)
    undo.push(() => rows.close())
    await Promise.all(replicas.map((replica) => replica.start()))
    const api = new PlatformApi(door.url, {
      authorization: `Bearer ${controlPlane.adminToken}`,
      [ORG_HEADER]: controlPlane.orgId,
    })
    const databaseUrl = database.url
    return { run, controlPlane, replicas, api, rows, databaseUrl, folder, end }
  } catch (error) {
    await end()
    throw error
  }
}

function platformEnv(url: string, databaseUrl: string): Record<string, string> {
  return {
    ATRIUM_MODE: 'production',
    DATABASE_URL: databaseUrl,
    ATRIUM_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    PLATFORM_URL: url,
    // Everybody here comes from one address.
    RATE_LIMIT: '1000000',
    ATRIUM_SWEEP_INTERVAL_MS: '3000',
    ATRIUM_LIVENESS_STALE_AFTER: '20',
  }
}
