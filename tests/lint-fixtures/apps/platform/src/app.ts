import './http/env.ts'
import './db/client.ts'
import 'hono'
import '../../workspace-runtime/src/app.ts' // <- lint/style/noRestrictedImports
import '../../cli/src/config.ts' // <- lint/style/noRestrictedImports
import '@atrium/workspace-runtime' // <- lint/style/noRestrictedImports lint/correctness/noUndeclaredDependencies
