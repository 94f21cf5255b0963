import '../../services/create-workspace.ts'
import '../../domain/ids.ts'
import '../../deps.ts'
import 'hono'
import '../../db/client.ts' // <- lint/style/noRestrictedImports
import '../../upstream/agent-client.ts' // <- lint/style/noRestrictedImports
import '../../provisioners/provisioner.ts' // <- lint/style/noRestrictedImports
import '../../jobs/job.ts' // <- lint/style/noRestrictedImports
import '../../main.ts' // <- lint/style/noRestrictedImports
import '../../app.ts' // <- lint/style/noRestrictedImports
import 'drizzle-orm' // <- lint/style/noRestrictedImports
import 'postgres' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
import 'node:http' // <- lint/style/noRestrictedImports
import '../../../../workspace-runtime/src/deps.ts' // <- lint/style/noRestrictedImports
