import 'hono/body-limit' // <- lint/style/noRestrictedImports plugin
import 'hono/proxy' // <- lint/style/noRestrictedImports plugin
import 'hono/streaming' // <- lint/style/noRestrictedImports plugin
