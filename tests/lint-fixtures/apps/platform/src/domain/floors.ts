import 'zod'
import '@atrium/http-kit/app-error'
import '../services/create-workspace.ts' // <- lint/style/noRestrictedImports
import '../db/client.ts' // <- lint/style/noRestrictedImports
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../jobs/job.ts' // <- lint/style/noRestrictedImports
import '../upstream/agent-client.ts' // <- lint/style/noRestrictedImports
import '../provisioners/provisioner.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'drizzle-orm' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
