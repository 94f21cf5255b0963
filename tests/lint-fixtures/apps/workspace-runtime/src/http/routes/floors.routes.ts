import '../../files/send-file.ts'
import 'hono'
import '../../agent/adapter.ts' // <- lint/style/noRestrictedImports
import '../../registration/heartbeat.job.ts' // <- lint/style/noRestrictedImports
import '../../main.ts' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
