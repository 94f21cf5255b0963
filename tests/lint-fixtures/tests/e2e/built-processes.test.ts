import 'vitest'
import '../../apps/platform/src/app.ts' // <- lint/style/noRestrictedImports
import '@atrium/platform' // <- lint/style/noRestrictedImports
