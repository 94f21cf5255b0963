import 'node:crypto'
import 'hono' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
import 'drizzle-orm' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
import 'pino' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
import 'undici' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
import '../../../apps/platform/src/domain/ids.ts' // <- lint/style/noRestrictedImports
