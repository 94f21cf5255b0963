import '@atrium/http-kit/secret'
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../files/send-file.ts' // <- lint/style/noRestrictedImports
import '../agent/adapter.ts' // <- lint/style/noRestrictedImports
import '../registration/heartbeat.job.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
