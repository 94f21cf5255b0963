/** @module The API's reference: for programs, and for people (ADR-0023). */
import { Hono } from 'hono'
import type { AppEnv } from '../env.ts'
import type { MountedRoute } from '../mount-scope.ts'
import { type OpenApiDocument, openApiDocument } from '../openapi/openapi-document.ts'
import { REFERENCE_STYLE, referencePage } from '../openapi/reference-page.ts'

export type ApiReferenceDeps = {
  readonly version: string
  /** All that are mounted, these included: known once the app is built. */
  readonly mountedRoutes: () => readonly MountedRoute[]
}

export function apiReferenceRoutes(deps: ApiReferenceDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  let made: OpenApiDocument | undefined
  const document = (): OpenApiDocument => {
    made ??= openApiDocument(deps.mountedRoutes(), deps.version)
    return made
  }
  app.get('/openapi.json', (c) => c.json(document()))
  app.get('/docs', (c) => c.html(referencePage(document())))
  app.get('/docs/style.css', (c) => c.text(REFERENCE_STYLE, 200, { 'Content-Type': 'text/css' }))
  return app
}
