import 'hono/body-limit' // <- plugin
import 'hono/proxy' // <- plugin
import 'hono/streaming' // <- plugin
import 'hono/http-exception'
