import '../services/sweep.ts'
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../db/client.ts' // <- lint/style/noRestrictedImports
import '../upstream/agent-client.ts' // <- lint/style/noRestrictedImports
import '../provisioners/provisioner.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'drizzle-orm' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
