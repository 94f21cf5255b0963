import '@atrium/path-safety/workspace-path'
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../agent/adapter.ts' // <- lint/style/noRestrictedImports
import '../registration/heartbeat.job.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
import '../../../platform/src/domain/ids.ts' // <- lint/style/noRestrictedImports
