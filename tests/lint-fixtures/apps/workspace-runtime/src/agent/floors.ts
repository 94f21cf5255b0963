import '../files/send-file.ts'
import 'hono'
import '@a2a-js/sdk'
import '../registration/heartbeat.job.ts' // <- lint/style/noRestrictedImports
import '../http/env.ts' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
