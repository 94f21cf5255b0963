/** @module What the platform's database says of workspaces and their runs, read past the platform. */
import postgres from 'postgres'

export type WorkspaceFacts = {
  readonly id: string
  readonly status: string
  readonly statusReason: string | null
  readonly instanceId: string | null
  readonly endpointUrl: string | null
  readonly deaths: number
  /** For whoever has to find out why: what else the row says of its box. */
  readonly detail: string
}

export type RunFacts = {
  readonly workspaceId: string
  readonly reason: string
  readonly attempts: number
  readonly lastError: string | null
  readonly isExpired: boolean
}

export class WorkspaceRows {
  readonly #sql: postgres.Sql

  constructor(databaseUrl: string) {
    this.#sql = postgres(databaseUrl, { max: 2, onnotice: () => undefined })
  }

  async all(): Promise<WorkspaceFacts[]> {
    return [
      ...(await this.#sql<WorkspaceFacts[]>`
        SELECT id, status, status_reason AS "statusReason", instance_id AS "instanceId",
               coalesce(endpoint_url, agent_url) AS "endpointUrl", cardinality(deaths) AS deaths,
               format('generation %s, box of %s at %s started %s, endpoint %s, agent %s, last beat %s, now %s',
                 generation, box_generation, box_address, box_started_at, endpoint_url, agent_url,
                 last_heartbeat_at, now()) AS detail
          FROM workspaces ORDER BY id`),
    ]
  }

  /** Whether it has come online on this machine. */
  async isOnlineOn(id: string, instanceId: string): Promise<boolean> {
    const rows = await this.#sql`
      SELECT 1 FROM workspaces
       WHERE id = ${id} AND instance_id = ${instanceId} AND status IN ('online', 'degraded')`
    return rows.length === 1
  }

  async runs(): Promise<RunFacts[]> {
    return [
      ...(await this.#sql<RunFacts[]>`
        SELECT workspace_id AS "workspaceId", reason, attempts, last_error AS "lastError",
               coalesce(lease_until < now(), false) AS "isExpired"
          FROM lifecycle_runs`),
    ]
  }

  /** The places of all kept events of status after `after`, in order. */
  async eventsAfter(after: number): Promise<number[]> {
    const rows = await this.#sql<{ seq: string }[]>`
      SELECT seq FROM structure_events WHERE seq > ${after} ORDER BY seq`
    return rows.map(({ seq }) => Number(seq))
  }

  async close(): Promise<void> {
    await this.#sql.end({ timeout: 5 })
  }
}
