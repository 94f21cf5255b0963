/** @module Everything the app needs, built once from the configuration (H10, H27). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { Logger } from 'pino'
import manifest from '../package.json' with { type: 'json' }
import type { Config } from './config.ts'
import type { DatabaseClient } from './db/client.ts'
import type { Delivery } from './domain/delivery.ts'
import type { Keyring } from './domain/secret-envelope.ts'
import type { Provisioner } from './provisioners/provisioner.ts'
import { ActivityAppends } from './services/activity-appends.ts'
import { ActivityBell } from './services/activity-bell.ts'
import { BeatBatcher } from './services/beat-batcher.ts'
import { DelegationRunner } from './services/delegation/delegation-runner.ts'
import { DeliveryLedger } from './services/delivery/delivery-ledger.ts'
import { DetachedExchanges } from './services/detached-exchanges.ts'
import { EventBus } from './services/event-bus.ts'
import { AgentDialects } from './services/gateway/agent-dialect.ts'
import { askDelivery } from './services/gateway/ask-delivery.ts'
import { callWorkspace } from './services/gateway/call-workspace.ts'
import type { GatewayCall } from './services/gateway/gateway-call.ts'
import { createShellctlTransport } from './services/inspector/shellctl-transport.ts'
import { LIFECYCLE_TIMINGS } from './services/lifecycle/lifecycle-runner.ts'
import { OutboundNotes } from './services/outbound-notes.ts'
import { RefusedUses } from './services/refused-uses.ts'
import { SecondOpinions } from './services/second-opinion.ts'
import { SessionCheck } from './services/session-check.ts'
import { Heartbeats } from './services/streams/heartbeats.ts'
import { TaskIndex } from './services/streams/task-index.ts'
import { TaskStreams } from './services/streams/task-streams.ts'
import { TaskTracker } from './services/task-tracker.ts'
import { UsageNotes } from './services/usage-notes.ts'
import { WorkspaceLifecycle } from './services/workspace-lifecycle.ts'
import { WorkspaceTemplates } from './services/workspace-templates.ts'
import type { CheckAddress } from './upstream/address-guard.ts'
import {
  type AddressPolicy,
  addressPolicyOf,
  refusedAddress,
  systemResolve,
} from './upstream/agent-address.ts'
import { AgentClient } from './upstream/agent-client.ts'
import { RuntimeClient } from './upstream/runtime-client.ts'
import { SessionAuthority } from './upstream/session-authority.ts'
import { ShellctlClient } from './upstream/shellctl-client.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** Silence in an agent's answer; the heartbeats of its stream come every 15 s. */
const AGENT_IDLE_TIMEOUT_MS = 300_000

export type Resources = {
  readonly config: Config
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
  readonly database: DatabaseClient
  readonly keyring: Keyring
  readonly provisioner: Provisioner
  /** The address the platform listens on; asked for only once it does. */
  readonly ownUrl: () => string
  readonly isShuttingDown: () => boolean
}

export type AppDeps = ReturnType<typeof createDeps>

export function createDeps(resources: Resources) {
  const { config, log, clock, ids, database, keyring } = resources
  const replicaId = ids.uuid()
  const tracker = new TaskTracker((error) => log.error({ err: error }, 'background.failed'))
  const platformUrl = (): string => config.platformUrl ?? resources.ownUrl()
  const lifecycle = lifecycleOf(resources, replicaId, platformUrl)
  const clients = clientsOf(config)
  const base = {
    db: database.db,
    log,
    clock,
    ids,
    keyring,
    replicaId,
    templates: new WorkspaceTemplates(config.templatesDir),
    version: manifest.version,
    tracker,
    outbound: new OutboundNotes({ db: database.db, clock, tracker }),
    usage: new UsageNotes({ db: database.db, tracker }),
    lifecycle,
    opinions: new SecondOpinions({ db: database.db, lifecycle }),
    resolve: systemResolve,
    ...settingsOf(config),
    ...clients,
    shellctlTransport: createShellctlTransport({ ...clients, tracker, clock, log }),
    ...sessionsOf(config, clock),
    ...workersOf(resources, replicaId),
    sql: database.sql,
    listen: (...on: Parameters<DatabaseClient['listen']>) => database.listen(...on),
    pingDatabase: () => database.ping(),
    isShuttingDown: resources.isShuttingDown,
    externalPlatformUrl: config.externalPlatformUrl,
    platformUrl,
  }
  const call = (asked: GatewayCall) => callWorkspace(base, asked)
  const askTask = (of: Delivery, signal: AbortSignal) => askDelivery(base, of, signal)
  return { ...base, delegations: new DelegationRunner({ ...base, call, askTask }) }
}

/** What of the configuration the floors below are told. */
function settingsOf(config: Config) {
  return {
    ...config.sweeps,
    addressPolicy: addressPolicyOf(config.agentAddresses),
    activityRetentionDays: config.activity.retentionDays,
    auditRetentionDays: config.auditRetentionDays,
    deliveryRetentionHours: config.a2a.retentionHours,
    queueCap: config.a2a.queueCap,
    activityCleanupMs: config.activity.cleanupIntervalHours * 3_600_000,
    eventRetentionDays: config.eventRetentionDays,
    maxRequestBytes: config.uploads.maxRequestBytes,
    clientIdleTimeoutMs: config.idleTimeoutMs,
    agentTimeoutMs: config.agentTimeoutMs,
    ...config.identity,
    ...config.edge,
    isBootstrapOpen: config.isDevelopment,
    rotationGraceMs: config.inboundSecrets.rotationGraceMs,
    inboundSecretMaxAgeDays: config.inboundSecrets.maxAgeDays,
  }
}

/** What goes on beside the requests; `background.ts` starts and stops it. */
function workersOf(resources: Resources, replicaId: string) {
  const { config, log, clock, ids, database } = resources
  const { db, sql } = database
  return {
    beats: new BeatBatcher({ sql, clock, log, isBootstrapOpen: config.isDevelopment }),
    refusedUses: new RefusedUses({ db, clock, ids, log }),
    activities: new ActivityAppends(db),
    detached: new DetachedExchanges(),
    dialects: new AgentDialects(clock),
    ledger: new DeliveryLedger({
      ...{ db, sql, clock, log, replicaId, queueCap: config.a2a.queueCap },
      listen: (...on) => database.listen(...on),
    }),
    streams: new TaskStreams({
      ...{ db, sql, clock, log, replicaId },
      listen: (...on) => database.listen(...on),
    }),
    heartbeats: new Heartbeats(),
    taskIndex: new TaskIndex({ sql, clock, log }),
    activityBell: new ActivityBell({ listen: (...on) => database.listen(...on), log }),
    events: new EventBus({ db, listen: (...on) => database.listen(...on), clock, ids, log }),
  }
}

function lifecycleOf(
  resources: Resources,
  replicaId: string,
  platformUrl: () => string,
): WorkspaceLifecycle {
  const { config, database } = resources
  return new WorkspaceLifecycle({
    ...resources,
    db: database.db,
    templates: new WorkspaceTemplates(config.templatesDir),
    platformUrl,
    runtimeEnv: runtimeEnv(config),
    replicaId,
    timings: LIFECYCLE_TIMINGS,
    restartDelayMs: config.restartDelayMs,
  })
}

/** The ways to workspaces: to boxes of ours, to addresses that agents report, to agents. */
function clientsOf(config: Config) {
  const policy = addressPolicyOf(config.agentAddresses)
  const timeouts = {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    headersTimeoutMs: config.headersTimeoutMs,
    idleTimeoutMs: config.idleTimeoutMs,
  }
  return {
    trustedClient: new RuntimeClient(timeouts),
    guardedClient: new RuntimeClient({ ...timeouts, checkAddress: addressCheck(policy) }),
    shellctl: new ShellctlClient({ connectTimeoutMs: CONNECT_TIMEOUT_MS, policy }),
    agentClient: new AgentClient({
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      headersTimeoutMs: config.agentTimeoutMs,
      idleTimeoutMs: AGENT_IDLE_TIMEOUT_MS,
      policy,
    }),
  }
}

/** Neither without a control plane to ask and an organisation to ask about. */
function sessionsOf(config: Config, clock: Clock) {
  if (config.edge.sessions === undefined) {
    return { sessionAuthority: undefined, sessionCheck: undefined }
  }
  const sessionAuthority = new SessionAuthority(config.edge.sessions)
  return {
    sessionAuthority,
    sessionCheck: new SessionCheck({ clock, authority: sessionAuthority }),
  }
}

function addressCheck(policy: AddressPolicy): CheckAddress {
  return (address) =>
    refusedAddress(address, policy) === undefined
      ? undefined
      : new AppError('agent_url_not_routable')
}

/** The runtime must not shut a door before the platform has stopped knocking at it. */
const RUNTIME_GRACE_MARGIN_MS = 300_000

/** Operator limits reach every runtime through its environment. */
function runtimeEnv(config: Config): Record<string, string> {
  return {
    ...config.archiveLimits,
    [RUNTIME_ENV.maxFileBytes]: String(config.uploads.maxFileBytes),
    [RUNTIME_ENV.maxRequestBytes]: String(config.uploads.maxRequestBytes),
    [RUNTIME_ENV.maxFiles]: String(config.uploads.maxFiles),
    [RUNTIME_ENV.uploadFsync]: config.uploads.fsync ? '1' : '0',
    [RUNTIME_ENV.inboundSecretGraceMs]: String(
      config.inboundSecrets.rotationGraceMs + RUNTIME_GRACE_MARGIN_MS,
    ),
    [RUNTIME_ENV.logLevel]: config.logLevel,
  }
}
