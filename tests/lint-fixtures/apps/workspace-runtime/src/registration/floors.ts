import '../secrets/credential-file.ts'
import 'undici'
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../files/send-file.ts' // <- lint/style/noRestrictedImports
import '../agent/adapter.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
