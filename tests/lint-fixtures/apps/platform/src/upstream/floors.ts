import 'undici'
import 'node:http'
import '../domain/ids.ts'
import '../services/create-workspace.ts' // <- lint/style/noRestrictedImports
import '../db/client.ts' // <- lint/style/noRestrictedImports
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../jobs/job.ts' // <- lint/style/noRestrictedImports
import '../provisioners/provisioner.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'drizzle-orm' // <- lint/style/noRestrictedImports
