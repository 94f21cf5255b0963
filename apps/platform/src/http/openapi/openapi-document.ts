/**
 * @module The reference of the whole API (OpenAPI 3.1, ADR-0023): the mounted routes say what there
 * is and who may call it, the tables of operations what it means, the wire schemas what it carries.
 */
import { ERROR_TABLE, type ErrorCode } from '@atrium/http-kit/app-error'
import { SESSION_ID } from '@atrium/path-safety/session-path'
import { z } from 'zod'
import type { MountedRoute, ScopeName } from '../mount-scope.ts'
import { EXCHANGE_OPERATIONS } from './exchange-operations.ts'
import { FILE_OPERATIONS } from './file-operations.ts'
import { type JsonSchema, JsonSchemas } from './json-schemas.ts'
import type { Answer, Body, Operation, Operations } from './operation.ts'
import { PLATFORM_OPERATIONS } from './platform-operations.ts'
import { QUEUE_OPERATIONS } from './queue-operations.ts'
import { WORKSPACE_OPERATIONS } from './workspace-operations.ts'

export const OPERATIONS: Operations = {
  ...WORKSPACE_OPERATIONS,
  ...FILE_OPERATIONS,
  ...EXCHANGE_OPERATIONS,
  ...PLATFORM_OPERATIONS,
  ...QUEUE_OPERATIONS,
}

/** What every failure looks like (docs/errors.md). */
export const failureResponse = z
  .looseObject({
    error: z.string().describe('For people.'),
    code: z.string().describe('For programs: stable.'),
    hop: z.enum(['platform', 'workspace', 'provisioner']).describe('Where it arose.'),
    retryable: z.boolean().describe('Whether the same request may succeed later.'),
    request_id: z.string(),
    retry_after: z.int().optional(),
    retry_after_seconds: z.int().optional(),
  })
  .meta({ id: 'Failure' })

const WORKSPACE_GATE = ['missing_workspace_token', 'invalid_workspace_token'] as const
const SCOPES: Readonly<
  Record<
    ScopeName,
    { readonly errors: readonly ErrorCode[]; readonly security: Operation['security'] }
  >
> = {
  public: { errors: [], security: [] },
  self: { errors: ['platform_unavailable'], security: [] },
  workspace: {
    errors: [...WORKSPACE_GATE, 'invalid_workspace_id', 'platform_unavailable'],
    security: ['workspaceToken', 'operatorToken'],
  },
  peer: {
    errors: [...WORKSPACE_GATE, 'invalid_workspace_id', 'platform_unavailable'],
    security: ['workspaceToken', 'operatorToken'],
  },
  admin: {
    errors: ['admin_auth_required', 'invalid_admin_token', 'platform_unavailable'],
    security: ['operatorToken'],
  },
}
const EVERYWHERE = ['rate_limit_exceeded', 'internal'] as const
const SECURITY_SCHEMES = {
  workspaceToken: {
    type: 'http',
    scheme: 'bearer',
    description: "The workspace's own token, or one of its people's.",
  },
  operatorToken: {
    type: 'http',
    scheme: 'bearer',
    description: "ADMIN_TOKEN, or an operator's token of /org/tokens.",
  },
} as const

export type OpenApiDocument = {
  readonly openapi: '3.1.0'
  readonly info: JsonSchema
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> } & JsonSchema
  readonly [more: string]: unknown
}

/** A route that nobody has described is not in it, and a test fails. */
export function openApiDocument(routes: readonly MountedRoute[], version: string): OpenApiDocument {
  const schemas = new JsonSchemas()
  const paths: Record<string, Record<string, JsonSchema>> = {}
  for (const route of routes) {
    const operation = OPERATIONS[`${route.method} ${route.path}`]
    if (operation === undefined) continue
    const path = route.path.replace(/:([A-Za-z]+)/g, '{$1}')
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: describeOperation(schemas, route, operation),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Atrium',
      version,
      summary: 'A self-hosted platform for the workspaces of AI agents.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Relative: where the document was found.
    servers: [{ url: '/' }],
    paths,
    components: { schemas: schemas.components, securitySchemes: SECURITY_SCHEMES },
  }
}

function describeOperation(
  schemas: JsonSchemas,
  route: MountedRoute,
  operation: Operation,
): JsonSchema {
  const scope = SCOPES[route.scope]
  const security = operation.security ?? scope.security ?? []
  const bodyErrors: readonly ErrorCode[] =
    operation.body?.schema === undefined ? [] : ['invalid_request_body']
  const errors = [...scope.errors, ...(operation.errors ?? []), ...bodyErrors, ...EVERYWHERE]
  return {
    operationId: operationId(route),
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    security: security.map((name) => ({ [name]: [] })),
    parameters: [
      ...pathParameters(route.path),
      ...parameters(schemas, 'query', operation.query),
      ...parameters(schemas, 'header', operation.headers),
    ],
    ...(operation.body === undefined
      ? {}
      : {
          requestBody: {
            required: operation.body.isOptional !== true,
            ...content(schemas, operation.body),
          },
        }),
    responses: { ...answers(schemas, operation.answers), ...failures(schemas, errors) },
  }
}

/** `POST /workspaces/:id/tokens` is `post_workspaces_id_tokens`. */
function operationId({ method, path }: MountedRoute): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z]+/g, '_').replace(/_$/, '')}`
}

function pathParameters(path: string): readonly JsonSchema[] {
  return [...path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema:
      name === 'sessionId'
        ? { type: 'string', pattern: SESSION_ID.source }
        : { type: 'string', format: 'uuid' },
  }))
}

function parameters(
  schemas: JsonSchemas,
  place: 'query' | 'header',
  described: z.ZodObject | undefined,
): readonly JsonSchema[] {
  return Object.entries(described?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = schemas.of(schema)
    return {
      name,
      in: place,
      required: !schema.safeParse(undefined).success,
      schema: rest,
      ...(description === undefined ? {} : { description }),
    }
  })
}

function content(schemas: JsonSchemas, body: Body): { readonly content?: JsonSchema } {
  const { schema, contentType } = body
  if (schema !== undefined) {
    return { content: { [contentType ?? 'application/json']: { schema: schemas.of(schema) } } }
  }
  return contentType === undefined ? {} : { content: { [contentType]: { schema: {} } } }
}

function answers(
  schemas: JsonSchemas,
  described: Readonly<Record<number, Answer>>,
): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(described).map(([status, answer]) => [
      status,
      { description: answer.description, ...contents(schemas, answer) },
    ]),
  )
}

function contents(schemas: JsonSchemas, answer: Answer): { readonly content?: JsonSchema } {
  const { alsoContentType } = answer
  const first = content(schemas, answer)
  if (alsoContentType === undefined) return first
  return {
    content: { ...first.content, ...content(schemas, { contentType: alsoContentType }).content },
  }
}

/** Errors by status, each with its code and the words that people read. */
function failures(schemas: JsonSchemas, codes: readonly ErrorCode[]): Record<string, JsonSchema> {
  const byStatus = new Map<number, Set<ErrorCode>>()
  for (const code of codes) {
    const { status } = ERROR_TABLE[code]
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  const failure = schemas.of(failureResponse)
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, of]) => [
        String(status),
        {
          description: [...of].map((code) => `\`${code}\`: ${ERROR_TABLE[code].text}`).join('\n\n'),
          content: {
            'application/json': {
              schema: { allOf: [failure, { properties: { code: { enum: [...of] } } }] },
            },
          },
        },
      ]),
  )
}
