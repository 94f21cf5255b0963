import '../db/client.ts'
import '../upstream/agent-client.ts'
import '../domain/ids.ts'
import '@atrium/hono-kit/raw-exchange'
import '../http/env.ts' // <- lint/style/noRestrictedImports
import '../jobs/job.ts' // <- lint/style/noRestrictedImports
import '../provisioners/provisioner.ts' // <- lint/style/noRestrictedImports
import 'hono' // <- lint/style/noRestrictedImports
import 'hono/http-exception' // <- lint/style/noRestrictedImports
import '@hono/node-server' // <- lint/style/noRestrictedImports
import '@atrium/hono-kit/problem' // <- lint/style/noRestrictedImports
import 'drizzle-orm' // <- lint/style/noRestrictedImports
import 'drizzle-orm/pg-core' // <- lint/style/noRestrictedImports
import 'postgres' // <- lint/style/noRestrictedImports
import 'undici' // <- lint/style/noRestrictedImports
import 'node:https' // <- lint/style/noRestrictedImports
