/** @module What the API's reference says about one route; `METHOD /path` as in `app.ts` is its name. */
import type { ErrorCode } from '@atrium/http-kit/app-error'
import type { z } from 'zod'

export type Tag =
  | 'Workspaces'
  | 'Lifecycle'
  | 'Files'
  | 'Messages'
  | 'Activity and events'
  | 'Registry'
  | 'Credentials'
  | 'Operation'

export type Body = {
  /** JSON by this schema, or any bytes of `contentType`. */
  readonly schema?: z.ZodType
  readonly contentType?: string
  readonly isOptional?: true
}

export type Answer = Body & {
  readonly description: string
  /** Who accepts it gets the same as a stream of this type. */
  readonly alsoContentType?: string
}

export type Operation = {
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  readonly query?: z.ZodObject
  readonly headers?: z.ZodObject
  readonly body?: Body
  /** By status. Errors come from `errors` and from the scope. */
  readonly answers: Readonly<Record<number, Answer>>
  readonly errors?: readonly ErrorCode[]
  /** For a `self` route, whose gate the scope does not tell. */
  readonly security?: readonly ('workspaceToken' | 'operatorToken')[]
}

export type Operations = Readonly<Record<string, Operation>>

/** The usual answer. */
export function ok(schema: z.ZodType, description = 'Done.'): Operation['answers'] {
  return { 200: { description, schema } }
}
