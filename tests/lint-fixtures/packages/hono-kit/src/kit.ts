import 'hono'
import 'pino'
import 'postgres' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
import '../../../apps/platform/src/domain/ids.ts' // <- lint/style/noRestrictedImports
