/**
 * @module The environment with which a provisioner starts a runtime (contract/platform 7.5,
 * contract/runtime 6.6). `MOLECULE_*` names are the wire contract's; `ATRIUM_*` ones are ours.
 */
export const RUNTIME_ENV = Object.freeze({
  workspaceId: 'WORKSPACE_ID',
  configPath: 'WORKSPACE_CONFIG_PATH',
  configsDir: 'CONFIGS_DIR',
  platformUrl: 'PLATFORM_URL',
  platformUrlAlias: 'MOLECULE_URL',
  pluginsDir: 'PLUGINS_DIR',
  tier: 'TIER',
  /** Present only when the workspace has a parent, never empty (contract/platform 7.5). */
  parentId: 'PARENT_ID',
  agentUrl: 'AGENT_URL',
  /** `1`: register the machine's own address; its name would not be believed (ADR-0020). */
  advertiseAddress: 'ATRIUM_ADVERTISE_ADDRESS',
  /** Which start of the workspace this is; told with every registration and beat. */
  generation: 'ATRIUM_GENERATION',
  /**
   * Credentials for a box whose volume nobody can write before its start. The runtime moves them into
   * its credential files and forgets the variables.
   */
  authToken: 'ATRIUM_AUTH_TOKEN',
  inboundSecret: 'ATRIUM_INBOUND_SECRET',
  /** Files for `/configs` in such a box: JSON, contents in base64 by their relative paths. */
  configFiles: 'ATRIUM_CONFIG_FILES',
  /** The workspace token once more, for runtimes of the contract (contract/runtime 6.6). */
  contractAuthToken: 'MOLECULE_WORKSPACE_TOKEN',
  /** Folder that holds `configs`, `workspace`, `home`, `plugins`; absent in a container (identity). */
  rootsDir: 'ATRIUM_ROOTS_DIR',
  /** Address and port to listen on; port 0 asks the kernel, and the ready message tells which. */
  listenHost: 'ATRIUM_LISTEN_HOST',
  listenPort: 'PORT',
  maxFileBytes: 'ATRIUM_MAX_FILE_BYTES',
  maxRequestBytes: 'ATRIUM_MAX_REQUEST_BYTES',
  maxFiles: 'ATRIUM_MAX_FILES',
  uploadFsync: 'ATRIUM_UPLOAD_FSYNC',
  logLevel: 'LOG_LEVEL',
  inboundSecretGraceMs: 'ATRIUM_INBOUND_SECRET_GRACE_MS',
  a2aOpen: 'RUNTIME_A2A_OPEN',
})

/**
 * What an operator may say about archives of folders, and the most that is accepted. A platform hands
 * on what it was given; the defaults are the runtime's own.
 */
export const ARCHIVE_LIMITS_ENV = Object.freeze({
  ATRIUM_ARCHIVE_MAX_ENTRIES: Number.MAX_SAFE_INTEGER,
  ATRIUM_ARCHIVE_MAX_BYTES: Number.MAX_SAFE_INTEGER,
  /** Two descriptors are held for each level. */
  ATRIUM_ARCHIVE_MAX_DEPTH: 1_000,
  ATRIUM_ARCHIVE_MAX_CONCURRENT: 64,
})

/**
 * Set by a provisioner in the environment of a box, and handed down by the runtime to everything it
 * starts: by it a platform that comes back finds what a crashed one left. Not a secret.
 */
export const BOX_MARKER_ENV = 'ATRIUM_BOX'

/** The runtime's port when nothing says otherwise (contract/runtime 0, fact 2). */
export const DEFAULT_RUNTIME_PORT = 8000

/** What a runtime that was started with an IPC channel sends once its server listens. */
export type RuntimeReadyMessage = { readonly type: 'ready'; readonly port: number }
